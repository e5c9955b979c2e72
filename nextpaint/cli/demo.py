"""`nextpaint demo`: a blueprint, the gift shop unless another is named, in a data directory of its own."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from nextpaint.cli.running import FRONTED, greeting, serve_until_stopped
from nextpaint.cli.serving import ServeSettings, Serving
from nextpaint.record.errors import NotFound


def blueprint(name: str) -> Path:
    """The folder of a blueprint: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "blueprints", package.parent / "blueprints"):
        if (place / name).is_dir():
            return place / name
    raise NotFound(f"there is no blueprint {name!r}", where=str(package.parent / "blueprints"))


def run(options: argparse.Namespace) -> int:
    """Run a blueprint until stopped; write the report if one was asked for."""
    directory = options.data or Path(tempfile.mkdtemp(prefix="nextpaint-demo-"))
    settings = ServeSettings(
        blueprint(options.blueprint),
        directory,
        options.host,
        options.port,
        speed=options.speed,
        shoppers=options.shoppers,
        fronted=FRONTED[options.front],
    )
    report = serve_until_stopped(settings, options.seconds, _greet)
    if options.report is not None:
        options.report.write_text(json.dumps({"directory": str(directory), **report}, indent=2) + "\n")
        print(f"report in {options.report}; `nextpaint verify {directory} --report {options.report}` recounts it")
    return 0


def _greet(serving: Serving, seconds: float) -> None:
    greeting(serving, seconds)
    credits = serving.application.settings.get("credits")
    if credits:
        print(f"  {credits}", flush=True)
