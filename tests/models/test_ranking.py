"""Scores of model files equal those of the libraries that trained them.

`data/` holds small models written by LightGBM 4.7 and XGBoost, the predictions these libraries gave for the probe rows,
and an ONNX graph. LightGBM and our link functions are compared to 1 unit in the last place; XGBoost computes its own in
float32.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.models.lightgbm_text import parse as parse_lightgbm
from nextpaint.models.trees import WrongModel
from nextpaint.models.xgboost_json import parse as parse_xgboost
from nextpaint.process.scoring import load_ranker, ranker_of, sums_of

DATA = Path(__file__).parent / "data"
KNOWN = json.loads((DATA / "predictions.json").read_text())
PROBE = np.array([[math.nan if cell is None else cell for cell in row] for row in KNOWN["probe"]])
FILES = sorted(KNOWN["cases"])


def ranker(name):
    return load_ranker(DATA / name, KNOWN["cases"][name]["sha256"])


@pytest.mark.parametrize("name", FILES)
def test_predictions_are_those_of_the_training_library(name):
    found = ranker(name).predict(PROBE)
    expected = np.array(KNOWN["cases"][name]["predictions"])
    tolerance = 2e-6 if name.endswith(".json") else 4e-16  # XGBoost's own exp and 1/(1+x) are float32
    assert np.all(np.abs(found - expected) <= tolerance * np.maximum(1, np.abs(expected)))
    assert len(set(expected)) > 5, "the probe rows must tell trees apart"


@pytest.mark.parametrize("name", [each for each in FILES if "rank" in each])
def test_scores_without_a_link_are_equal_bit_for_bit(name):
    assert ranker(name).predict(PROBE).tolist() == KNOWN["cases"][name]["predictions"]


@pytest.mark.parametrize("name", FILES)
def test_the_cut_of_a_batch_cannot_be_seen(name):
    model = ranker(name)
    whole = model.predict(PROBE).tolist()
    assert [model.predict(row[None, :])[0] for row in PROBE] == whole
    many = np.repeat(PROBE, 120, axis=0)
    assert model.predict(many).tolist() == np.repeat(whole, 120).tolist()
    assert model.predict(PROBE[:0]).tolist() == []
    assert model.exact
    assert model.features == tuple(KNOWN["names"])


@pytest.mark.parametrize("name", FILES)
@given(st.data())
def test_compiled_trees_give_the_bits_of_the_forest(name, data):
    """Against the array form, which follows the formats' definitions node by node for all rows at once."""
    forest = ranker(name).forest
    inner = forest.left != np.arange(len(forest.left))
    edges = sorted({float(each) for each in forest.threshold[inner]})
    cells = st.one_of(
        st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-36, -1e-30, 1e300, *edges]), st.floats(width=64)
    )
    width = len(ranker(name).features)
    rows = data.draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8))
    matrix = np.array(rows)
    assert sums_of(forest, matrix).tobytes() == forest.scores(matrix).tobytes()


def test_another_file_is_another_model_and_refused():
    with pytest.raises(WrongModel, match="pin the file you mean"):
        load_ranker(DATA / FILES[0], "0" * 64)


def test_a_matrix_of_another_width_is_refused():
    with pytest.raises(ValueError, match="takes 4 features"):
        ranker(FILES[0]).predict(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("m.pkl", b"\x80\x04", "are not known"),
        ("m.txt", b"\xff\xfe", "is not text"),
        ("m.txt", b"tree\nversion=v4\n", "not a LightGBM text model"),
        ("m.json", b"{}", "not an XGBoost JSON model"),
        ("m.json", b"[1", "not an XGBoost JSON model"),
    ],
)
def test_what_is_no_model_is_refused_with_a_cure(name, data, said):
    from hashlib import sha256

    with pytest.raises(WrongModel, match=said):
        ranker_of(name, data, sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("num_class=1", "num_class=3", "multi-class"),
        ("objective=lambdarank", "objective=mine", "is not known here"),
        ("left_child=", "left_child=99 ", "does not hold"),
        ("feature_names=heat", "feature_names=", "does not fit"),
        ("is_linear=0", "is_linear=1", "linear leaves"),
    ],
)
def test_lightgbm_files_that_cannot_be_scored(old, new, said):
    text = (DATA / "lgb_rank.txt").read_text()
    assert old in text
    with pytest.raises(WrongModel, match=said):
        parse_lightgbm(text.replace(old, new, 1))


def test_a_tree_that_runs_in_a_circle_is_refused():
    learner = json.loads((DATA / "xgb_rank.json").read_bytes())
    tree = learner["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["left_children"][0] = 0
    tree["right_children"][0] = 0
    tree["left_children"][1] = 1
    with pytest.raises(WrongModel, match="damaged"):
        parse_xgboost(json.dumps(learner).encode())


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_refuse(data):
    from hashlib import sha256

    for name in ("m.txt", "m.json"):
        with pytest.raises(WrongModel):
            ranker_of(name, data, sha256(data).hexdigest())


def test_an_onnx_graph_of_known_operators_is_scored_exactly():
    from hashlib import sha256

    data = (DATA / "logistic.onnx").read_bytes()
    model = ranker_of("logistic.onnx", data, sha256(data).hexdigest())
    matrix = np.array([[1.0, 2.0, 3.0, 0.5], [0.0, 0.0, 0.0, 0.0]])
    expected = 1 / (1 + np.exp(-(matrix @ np.array([0.5, -0.25, 0.1, 2.0]))))
    assert np.allclose(model.predict(matrix), expected, rtol=1e-6)
    assert model.exact
