"""XGBoost's JSON format (`Booster.save_model("m.json")`) to a `Forest`.

Source: XGBoost documentation, "Introduction to Model IO", and `src/predictor`: features, thresholds and sums are
float32, a row goes left when `feature < threshold`, NaN goes where `default_left` says.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

import msgspec
import numpy as np

from nextpaint.models.trees import Forest, WrongModel

_LINKS = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "binary:logitraw": "logitraw",
    "reg:squarederror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:absoluteerror": "identity",
    "rank:ndcg": "identity",
    "rank:pairwise": "identity",
    "rank:map": "identity",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
}
_DIGITS = Context(prec=40)


def parse(data: bytes) -> tuple[Forest, tuple[str, ...], str, float]:
    """(forest, feature names (may be empty), link, factor). Raises WrongModel."""
    try:
        learner = msgspec.json.decode(data)["learner"]
        booster = learner["gradient_booster"]
        parameters = learner["learner_model_param"]
        objective = str(learner["objective"]["name"])
        kind = str(booster["name"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise WrongModel('this is not an XGBoost JSON model: write it with Booster.save_model("m.json")') from error
    if kind != "gbtree":
        raise WrongModel(f"the booster {kind} is not supported; train with booster=gbtree")
    if str(parameters.get("num_class", "0")) not in ("0", "1"):
        raise WrongModel("a multi-class model has several scores per row; train one with a single score")
    link = _LINKS.get(objective)
    if link is None:
        raise WrongModel(f"the objective {objective} is not known here; one of {', '.join(_LINKS)}")
    try:
        trees = booster["model"]["trees"]
        base = _base(str(parameters["base_score"]), link)
        names = tuple(str(each) for each in learner.get("feature_names", []))
        features = int(parameters["num_feature"])
        forest = _forest(trees, base).checked(features)
    except WrongModel:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise WrongModel(f"the model cannot be read ({error}): the file is damaged") from error
    return forest, names or tuple(f"f{index}" for index in range(features)), link.replace("logitraw", "identity"), 1.0


def _base(text: str, link: str) -> float:
    """The score every row starts from: base_score before the link, as float32."""
    score = Decimal(text.strip("[]"))
    if link in ("sigmoid", "logitraw"):
        if not 0 < score < 1:
            raise WrongModel("base_score of a logistic objective lies between 0 and 1: the file is damaged")
        return float(np.float32(_DIGITS.subtract(_DIGITS.ln(score), _DIGITS.ln(1 - score))))
    if link == "exp":
        return float(np.float32(_DIGITS.ln(score)))
    return float(np.float32(score))


def _forest(trees: list[dict[str, Any]], base: float) -> Forest:
    parts: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "value", "default")}
    roots: list[int] = []
    start = 0
    for tree in trees:
        if any(tree.get("split_type", ())) or tree.get("categories"):
            raise WrongModel("categorical splits of XGBoost are not supported: one-hot encode, or train with LightGBM")
        left = np.array(tree["left_children"], np.int64)
        right = np.array(tree["right_children"], np.int64)
        conditions = np.array(tree["split_conditions"], np.float32).astype(np.float64)
        leaf = left < 0
        own = np.arange(len(left))
        if ((left == own) | (right == own) | (leaf != (right < 0))).any():
            raise WrongModel("a node is its own child: the file is damaged")
        roots.append(start)
        parts["feature"].append(np.where(leaf, 0, np.array(tree["split_indices"], np.int64)))
        parts["threshold"].append(conditions)
        parts["left"].append(np.where(leaf, own, left) + start)
        parts["right"].append(np.where(leaf, own, right) + start)
        parts["value"].append(np.where(leaf, conditions, 0.0))
        parts["default"].append(np.array(tree["default_left"], np.int64) != 0)
        start += len(left)
    if not roots:
        raise WrongModel("the model has no trees")
    held = {name: np.concatenate(each) for name, each in parts.items()}
    if len({len(each) for each in held.values()}) != 1:
        raise WrongModel("the arrays of a tree differ in length: the file is damaged")
    everywhere = np.ones(start, np.bool_)
    return Forest(
        np.array(roots, np.int64),
        held["feature"],
        held["threshold"],
        held["left"],
        held["right"],
        held["value"],
        held["default"],
        everywhere,
        ~everywhere,
        strict=True,
        base=base,
    )
