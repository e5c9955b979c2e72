"""`nextpaint train | parity | promote | rollback`: from logged decisions to a model that ranks, and back."""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path
from typing import Any

from nextpaint.application import Application
from nextpaint.cli.commands import Directory, ask
from nextpaint.decide import Reward
from nextpaint.engine.evaluating import application_of, reward_of
from nextpaint.engine.registry import ModelFiles
from nextpaint.engine.training import TrainingSet, parity, training_set
from nextpaint.ports import SystemClock
from nextpaint.record.errors import InvalidInput, NotFound

PARITY_DECISIONS = 1_000


def train_arguments(parser: argparse.ArgumentParser, data: str) -> None:
    """Adds the arguments of `train`."""
    parser.add_argument("surface")
    parser.add_argument("--data", type=Path, default=Path(data))
    parser.add_argument(
        "--out", type=Path, default=Path("model.txt"), help="the model; its training set and lineage go beside"
    )
    parser.add_argument("--reward", help="a stream of rewards (default: the one the surface declares)")
    parser.add_argument(
        "--folder", type=Path, help="take the features of this application, computed for each decision as of its time"
    )
    parser.add_argument("--within", default="30 min", help="the window of --reward")
    parser.add_argument("--trees", type=int, default=100)
    parser.set_defaults(run=train)


def train(options: argparse.Namespace) -> int:
    """Write the training set with its lineage, and train LightGBM on it where that is installed."""
    ledger = Directory(options.data)
    application = application_of(ledger)
    declared = next((each for each in application.surfaces if each.name == options.surface), None)
    if declared is None:
        raise NotFound(f"unknown surface {options.surface!r}", where=str(options.data))
    reward = Reward(options.reward, within=options.within) if options.reward else reward_of(declared)
    backfill = Application.load(options.folder) if options.folder else None
    rows = training_set(ledger, application, options.surface, reward, backfill)
    lineage = rows.lineage((backfill or application).hash)
    if backfill is not None:
        lineage["backfilled"] = True
    table = options.out.with_suffix(".csv")
    table.write_bytes(rows.csv())
    first, last = rows.positions
    print(f"{table}: {lineage['rows']} shown items, {lineage['rewarded']} rewarded, of positions {first} to {last}")
    try:
        import lightgbm
    except ImportError:
        print("no model was trained: pip install 'nextpaint[train]', or train on the table and promote the file")
        options.out.with_suffix(".lineage.json").write_text(json.dumps(lineage, indent=2) + "\n")
        return 0
    lineage["trained_with"] = f"lightgbm {lightgbm.__version__}, {options.trees} trees, 15 leaves, seed 1, one thread"
    options.out.write_text(_trained(lightgbm, rows, options.trees))
    options.out.with_suffix(".lineage.json").write_text(json.dumps(lineage, indent=2) + "\n")
    print(f"{options.out}: next: nextpaint promote NAME {options.out} --share 0.1")
    return 0


def _trained(lightgbm: Any, rows: TrainingSet, trees: int) -> str:
    """LightGBM's text of a binary model. Reproducible: one thread, fixed seed, rows in ledger order. Places are no
    feature: at decision time there is none."""
    import numpy as np

    matrix = np.array([[np.nan if each is None else each for each in row] for row in rows.values], np.float64)
    labels = np.array([min(reward, 1.0) > 0 for reward in rows.rewards], np.float64)
    parameters = {
        "objective": "binary", "num_leaves": 15, "min_data_in_leaf": 20, "learning_rate": 0.1, "verbosity": -1,
        "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 1,
    }  # fmt: skip
    data = lightgbm.Dataset(matrix, labels, feature_name=list(rows.features), free_raw_data=False)
    return str(lightgbm.train(parameters, data, trees).model_to_string())


def parity_arguments(parser: argparse.ArgumentParser, data: str) -> None:
    """Adds the arguments of `parity`."""
    parser.add_argument("surface")
    parser.add_argument("--data", type=Path, default=Path(data))
    parser.add_argument("--decisions", type=int, default=PARITY_DECISIONS, metavar="N", help="how many, evenly spread")
    parser.set_defaults(run=check_parity)


def check_parity(options: argparse.Namespace) -> int:
    """Compare logged features with recomputed ones; exit 1 when one bit differs."""
    ledger = Directory(options.data)
    models = ModelFiles(ledger.disk)
    found = parity(ledger, SystemClock(), options.surface, max(options.decisions, 1), models, ledger.disk)
    if found.beyond:
        print(
            f"{found.beyond} decisions are recorded, no longer recomputable: states are made again from {found.begin}"
        )
    if not found.decisions and not found.beyond:
        raise NotFound(f"no decision of {options.surface!r} is logged", where=str(options.data))
    print(f"{found.decisions} decisions made again: {found.matrices} feature matrices equal, {found.values} logged "
          f"values compared bit for bit, {len(found.different)} differences")  # fmt: skip
    for line in found.different:
        print(f"  {line}")
    return 1 if found.different else 0


def promote(options: argparse.Namespace) -> int:
    """Send a model file to a running node."""
    if not options.file.is_file():
        raise InvalidInput(f"there is no file {options.file}", cure="nextpaint train SURFACE makes one")
    beside = options.file.with_suffix(".lineage.json")
    body = {
        "file": options.file.name, "data": base64.b64encode(options.file.read_bytes()).decode(),
        "lineage": json.loads(beside.read_text()) if beside.is_file() else None,
        "share": options.share, "shadow": options.shadow,
    }  # fmt: skip
    _print(ask(options, "PUT", f"/v1/models/{options.name}", body))
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Take back the last promotion on a running node."""
    _print(ask(options, "POST", f"/v1/models/{options.name}/rollback", {}))
    return 0


def _print(row: dict[str, Any]) -> None:
    champion, challenger = ((row[role] or "nothing")[:12] for role in ("champion", "challenger"))
    trial = "in shadow" if row["shadow"] else f"for {row['share']:.0%}"
    on_trial = "" if row["challenger"] is None else f", {challenger} {trial}"
    print(f"{row['name']}: ranked by {champion}{on_trial}, from position {row['position']}")
