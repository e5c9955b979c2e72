"""The feed page in a real browser, on the media blueprint behind a real node."""

import asyncio
import threading

import pytest
import uvloop

import nextpaint.cli.serving as serving_module
from nextpaint.cli.demo import blueprint
from nextpaint.cli.serving import ServeSettings, Serving
from nextpaint.models.embedding import HashEncoder

Wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # the driver's own sockets


class Running:
    """`nextpaint run blueprints/media` without its crowd, in a thread with its own loop."""

    def __init__(self, directory):
        self._settings = ServeSettings(blueprint("media"), directory, port=0, simulate=False)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.serving = Serving(self._settings)
        await self.serving.start()
        while self.serving.engine.status()["vectors"]["missing"]:
            await asyncio.sleep(0.02)
        self.address = self.serving.url
        self._ready.set()
        await self._stop.wait()
        await self.serving.stop()

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)


@pytest.fixture
def feed(tmp_path, monkeypatch):
    monkeypatch.setattr(serving_module, "SentenceEncoder", HashEncoder)  # the model takes 3 s to load
    running = Running(tmp_path)
    yield running
    running.stop()


def until(browser, condition):
    return Wait(browser, 60, poll_frequency=0.05).until(lambda _: condition())


def words(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def order(browser, row):
    return browser.execute_script(
        "return [...document.querySelectorAll(`#${arguments[0]} > .poster`)].map(c => c.dataset.id)", row
    )


def hidden(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0]).hidden", selector)


PLAY_A_WESTERN = """
const poster = document.querySelector('#tonight .poster[data-kind="Western"]');
poster.querySelector('button').click();
return poster.dataset.id;
"""


def row_moves_during_credits(browser, film):
    """Go to the ending of what plays and see the row change while the names still roll."""
    until(browser, lambda: not hidden(browser, "#ending"))
    before = order(browser, "tonight")
    click(browser, "#ending")
    until(browser, lambda: words(browser, "#soon").startswith("Credits in"))
    until(browser, lambda: order(browser, "tonight") != before)
    assert words(browser, "#soon").startswith("Credits, ")
    assert not hidden(browser, "#roll") and film not in order(browser, "tonight")
    until(browser, lambda: "after the credits began" in words(browser, "#measured"))
    assert words(browser, "#announce").startswith("The row is re-ordered")


KINDS = "return [...document.querySelectorAll('#tonight > .poster')].map(c => c.dataset.kind)"
REACHED = "return document.querySelector('#keep_watching .reached')?.hidden === false"
CHILD = "const s = document.getElementById('age'); s.value = '0'; s.dispatchEvent(new Event('change'))"


def test_the_row_is_decided_anew_while_the_credits_roll(browser, feed):
    browser.get(feed.address + "/")
    until(browser, lambda: browser.execute_script("return document.documentElement.dataset.ready") == "1")
    assert "invented" in words(browser, ".foot") and "stranger" in words(browser, "#tonight-line")
    first = order(browser, "tonight")
    assert len(first) == 18 and hidden(browser, "#keep")
    drawn = "return [...document.querySelectorAll('.poster img')].every(i => i.complete && i.naturalWidth > 0)"
    until(browser, lambda: browser.execute_script(drawn))
    for number in range(3):
        film = browser.execute_script(PLAY_A_WESTERN)
        row_moves_during_credits(browser, film)
        assert number == 0 or words(browser, "#bars").startswith("Western")
    kinds = browser.execute_script(KINDS)
    assert kinds.count("Western") == 4 and kinds[:6].count("Western") >= 3
    badges = browser.execute_script("return [...document.querySelectorAll('#tonight .badge')].map(b => b.textContent)")
    assert any(badge.startswith("+") or badge == "new" for badge in badges)
    assert [line for line in browser.get_log("browser") if line["source"] != "network"] == []


def test_what_was_left_waits_on_its_own_shelf_and_profiling_off_hides_it(browser, feed):
    browser.get(feed.address + "/feed")
    until(browser, lambda: browser.execute_script("return document.documentElement.dataset.ready") == "1")
    click(browser, "#tonight .poster button")
    until(browser, lambda: not hidden(browser, "#leave"))
    title = words(browser, "#playing")
    until(browser, lambda: words(browser, "#at") > "0:08:00")  # the film's own clock
    click(browser, "#leave")
    until(browser, lambda: not hidden(browser, "#keep"))
    until(browser, lambda: browser.execute_script(REACHED))
    assert title in browser.execute_script("return document.querySelector('#keep_watching button').ariaLabel")
    click(browser, "#profiling")
    until(browser, lambda: "No personal data read" in words(browser, "#tonight-line"))
    until(browser, lambda: hidden(browser, "#keep"))
    click(browser, "#profiling")
    until(browser, lambda: not hidden(browser, "#keep"))
    browser.execute_script(CHILD)
    young = {"Documentary", "Animation", "Music", "Sport", "History", "Family"}
    until(browser, lambda: set(browser.execute_script(KINDS)) <= young)
    click(browser, "#stranger")
    until(browser, lambda: "stranger" in words(browser, "#tonight-line") and hidden(browser, "#keep"))


def test_the_console_and_a_decision_open_for_an_application_without_stock(browser, feed):
    browser.get(feed.address + "/console")
    until(browser, lambda: words(browser, "#application") == "The late feed")
    until(browser, lambda: browser.execute_script("return document.getElementById('t-stock').parentElement.hidden"))
    assert browser.execute_script("return document.querySelector('nav a').getAttribute('href')") == "/feed"
    assert "invented" in words(browser, ".foot")
