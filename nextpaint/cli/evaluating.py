"""`nextpaint evaluate`: what another policy would have earned, from the ledger of a data directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from nextpaint.application import Application
from nextpaint.cli.commands import Directory
from nextpaint.decide import Reward
from nextpaint.engine.evaluating import Evaluating, Report, application_of
from nextpaint.engine.registry import ModelFiles
from nextpaint.ports import SystemClock
from nextpaint.record.errors import NotFound


def arguments(parser: argparse.ArgumentParser, data: str) -> None:
    """Adds the command's arguments; `data` is the default data directory."""
    parser.add_argument("surface", help="the surface whose explored decisions are evaluated")
    parser.add_argument("--data", type=Path, default=Path(data))
    parser.add_argument("--folder", type=Path, help="an application that declares the surface otherwise "
                                                    "(default: the ranker's order, without exploration)")  # fmt: skip
    parser.add_argument("--as", dest="other", help="another surface of it: its name (default: the same name)")
    parser.add_argument("--reward", help="a stream of rewards (default: the one the surface explores with)")
    parser.add_argument("--within", default="30 min", help="the window of --reward")
    parser.add_argument("--draws", type=int, default=256, help="pages drawn where a policy has no exact propensities")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the estimates with what they rest on."""
    ledger = Directory(options.data)
    application = application_of(ledger)
    declared = Application.load(options.folder) if options.folder else application
    name = options.other or options.surface
    target = next((each for each in declared.surfaces if each.name == name), None)
    if target is None:
        known = ", ".join(each.name for each in declared.surfaces)
        raise NotFound(f"unknown surface {name!r}", where=str(options.folder or options.data), cure=f"known: {known}")
    if options.folder is None and options.other is None:
        target = target.but(name, explore=None)
    reward = Reward(options.reward, within=options.within) if options.reward else None
    report = Evaluating(ledger, SystemClock(), options.draws, ModelFiles(ledger.disk), ledger.disk).run(
        application, options.surface, target, reward
    )
    _print(report)
    return 0


def _print(report: Report) -> None:
    evaluation = report.evaluation
    print(f"target   {report.target}")
    for policy, count in report.by_policy.items():
        print(f"logged   {count} decisions by {policy}")
    left = f"{report.unshown} answered items were not shown, {report.moved} were moved by rules"
    print(f"showings {evaluation.showings} of {evaluation.clusters} decisions; {left}")
    print(f"joined   {', '.join(f'{name} {count}' for name, count in report.joined.items())}")
    print("mean reward per showing, 95 % intervals:")
    for value in (evaluation.logged, *evaluation.values):
        print(f"  {value}")
    print(f"effective sample size {evaluation.effective:.0f}; largest weight {evaluation.largest:.1f}; "
          f"{evaluation.cut:.1%} of propensities below the floor")  # fmt: skip
