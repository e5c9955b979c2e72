"""What every test shares: property-test profiles, reasons for skipping what this machine lacks, and a browser.

Test folders have no `__init__.py` (pytest runs in importlib mode), so two rooms may both have a `test_errors.py`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")
# What measures, or needs much of a machine for what it kills or sells out: of these one test runs at a time.
ALONE = (
    "tests/test_bench.py",
    "tests/engine/test_kill.py",
    "tests/engine/test_exploring.py",
    "tests/engine/test_guarantees.py",
    "tests/acceptance/test_stock.py",
)

# A shared machine stalls for seconds at a time: a per-example deadline would test the machine. CI draws the same
# examples on every run, so that red means the change; a person draws new ones.
settings.register_profile("person", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "person")


def missing_browser() -> str | None:
    """Why browser tests cannot run here, or None when they can."""
    missing = [str(path) for path in (CHROMIUM, CHROMEDRIVER) if not path.exists()]
    return f"{' and '.join(missing)} missing; Debian: apt install chromium chromium-driver" if missing else None


def missing_flink() -> str | None:
    """Why Flink tests cannot run here, or None when they can."""
    if not os.environ.get("NEXTPAINT_FLINK_PYTHON"):
        return "NEXTPAINT_FLINK_PYTHON does not name a Python that has PyFlink; run scripts/flink"
    return None if shutil.which("java") else "java is not on the PATH; Debian: apt install openjdk-17-jre-headless"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist=loadgroup`: each test goes to the next free core, but those of `ALONE` one after the other to one.

    The marks that pytest-xdist 3.8 groups by do not reach it from pytest 9.2.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneAtATime(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "alone" if nodeid.startswith(ALONE) else nodeid

    return OneAtATime(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason printed, what needs a program this machine does not have."""
    for marker, reason in (("browser", missing_browser()), ("flink", missing_flink())):
        if reason is not None:
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def flink_python() -> Path:
    """The interpreter of the environment that has PyFlink; only for tests marked `flink`."""
    return Path(os.environ["NEXTPAINT_FLINK_PYTHON"])


@pytest.fixture
def browser() -> Iterator[Any]:
    """A fresh headless Chromium (Selenium WebDriver, 1440 x 900); only for tests marked `browser`.

    Nothing is fetched: both programs are given by path. Console messages are kept, read them with
    `browser.get_log("browser")`.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--window-size=1440,900", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    if os.geteuid() == 0:  # Chromium refuses its sandbox to root, which is who containers and CI run as
        options.add_argument("--no-sandbox")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(CHROMEDRIVER)))
    try:
        yield driver
    finally:
        driver.quit()
