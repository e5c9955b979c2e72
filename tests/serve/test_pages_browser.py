"""The pages in a real browser, against the fake shop behind the real HTTP edge."""

import shutil
from pathlib import Path

import pytest

from tests.serve.fake_shop import HOSTILE, FakeShop, Running

webdriver = pytest.importorskip("selenium.webdriver")
By = pytest.importorskip("selenium.webdriver.common.by").By
Wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the driver's own sockets
]
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--window-size=1440,1000",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def shop():
    return FakeShop(hostile=True)


@pytest.fixture
def address(shop):
    running = Running(shop)
    yield running.address
    running.stop()


def opened(browser, url):
    browser.get_log("browser")
    browser.get(url)
    until(browser, lambda: browser.execute_script("return document.documentElement.dataset.ready") == "1")


def until(browser, condition):
    return Wait(browser, 60, poll_frequency=0.05).until(lambda _: condition())


def order(browser, list_id):
    return browser.execute_script(
        "return [...document.querySelectorAll(`#${arguments[0]} > .card`)].map(c => c.dataset.id)", list_id
    )


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def words(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)


def complaints(browser):
    """What the console of the browser holds against the page: scripts, policy; not the answers that tests provoke."""
    return [line["message"] for line in browser.get_log("browser") if line["source"] != "network"]


def test_a_click_reorders_now_and_leaves_last_night_alone(browser, address, shop):
    opened(browser, f"{address}/shop")
    night, before = order(browser, "night"), order(browser, "now")
    assert len(night) == len(before) == 20
    liked = "23298"  # a bunting
    family = {item.id for item in shop.items.values() if item.category == "BUNTING"}
    click(browser, f'#now .card[data-id="{liked}"] .look')
    until(browser, lambda: order(browser, "now") != before)
    after = order(browser, "now")
    assert order(browser, "night") == night
    assert sum(map(after.index, family & set(before))) < sum(map(before.index, family & set(before)))
    badges = browser.execute_script("return [...document.querySelectorAll('#now .badge')].map(b => b.textContent)")
    assert any(badge.startswith("+") for badge in badges)
    view = next(call for call in shop.calls if call.get("event") == "Product Viewed")
    shown = next(iter(shop.decisions.values()))
    assert view["properties"]["item_id"] == liked and view["properties"]["decision_id"] == shown.decision_id
    assert view["properties"]["position"] == before.index(liked) + 1
    until(browser, lambda: "Bunting" in words(browser, "#bars") and "100 %" in words(browser, "#bars"))
    assert "re-ordered" in words(browser, "#announce")
    until(browser, lambda: any(call.get("event") == "Impression" for call in shop.calls))
    assert complaints(browser) == []


def test_why_opens_in_the_card_with_reasons_ages_and_a_near_miss(browser, address, shop):
    shop.items["22423"].stock = 0
    opened(browser, f"{address}/shop")
    assert "22423" not in order(browser, "now")
    click(browser, "#now .card .ask")
    until(browser, lambda: "would be 2nd: hidden, stock 0" in words(browser, "#now .card.open .why"))
    panel = words(browser, "#now .card.open .why")
    assert "Many people look at it right now." in panel
    assert "stock 25, read" in panel and " ago" in panel
    assert "+0.60" in panel and "−0.0" in panel
    link = browser.find_element(By.CSS_SELECTOR, "#now .card.open .links a").get_attribute("href")
    assert link.endswith(next(iter(shop.decisions)))
    click(browser, "#now .card.open .ask")
    assert browser.find_elements(By.CSS_SELECTOR, "#now .card.open") == []


def test_what_if_moves_the_cards_and_back_again(browser, address, shop):
    opened(browser, f"{address}/shop")
    liked = "23298"
    click(browser, f'#now .card[data-id="{liked}"] .look')
    until(browser, lambda: "re-ordered" in words(browser, "#announce"))
    real = order(browser, "now")
    click(browser, f'#now .card[data-id="{real[0]}"] .ask')
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".card.open .switch"))
    click(browser, '.card.open [data-change="forget"]')
    until(browser, lambda: "have another place" in words(browser, "#whatif"))
    supposed = order(browser, "now")
    assert supposed != real and browser.find_elements(By.CSS_SELECTOR, "#now .badge.up")
    click(browser, '#whatif [data-change="sold"]')
    until(browser, lambda: "Gone: " in words(browser, "#whatif"))
    assert real[0] not in order(browser, "now")
    pressed = "return [...document.querySelectorAll('#whatif .switch')].map(b => b.getAttribute('aria-checked'))"
    assert browser.execute_script(pressed) == ["true", "true", "false"]
    click(browser, "#whatif .back")
    until(browser, lambda: order(browser, "now") == real)
    assert browser.find_element(By.ID, "whatif").get_attribute("hidden")
    assert complaints(browser) == []


def test_how_pages_are_chosen_is_readable_and_harmless(browser, address, shop):
    opened(browser, f"{address}/parameters")
    page = words(browser, "main")
    assert "Home carousel" in page and "60 %" in page and "Without profiling" in page
    assert "paid by ACME" in page and "<script>" in page and "limit: 5 -> 20" in page
    widths = "return [...document.querySelectorAll('.weights .meter i')].map(i => i.style.width)"
    assert browser.execute_script(widths) == ["60%", "40%"]
    assert browser.execute_script("return window.pwned") is None
    assert complaints(browser) == []


def test_the_console_shows_what_was_learned_and_the_score_only_when_it_means_something(browser, address, shop):
    shop.targets = 199
    opened(browser, f"{address}/console")
    until(browser, lambda: "199 of 200" in words(browser, "#score"))
    assert "%" not in words(browser, "#score")
    shop.targets = 250
    until(browser, lambda: "53.0 %" in words(browser, "#score"))
    assert "ahead by 8.0 points" in words(browser, "#score") and "no difference that holds" in words(browser, "#score")
    until(
        browser,
        lambda: "10.0 %" in words(browser, "#arms") and "+6.00 per 100 people" in words(browser, "#experiments"),
    )
    assert "4.2 rewards given up" in words(browser, "#arms") and "4 late" in words(browser, "#arms")
    assert "people divided as declared" in words(browser, "#experiments")
    assert browser.execute_script("return document.querySelectorAll('#arms .whisker i').length") == 2
    assert browser.execute_script("return window.pwned") is None
    assert complaints(browser) == []


def test_a_rule_is_put_changed_and_taken_away_on_the_console(browser, address, shop):
    opened(browser, f"{address}/console")
    until(browser, lambda: "Quality" in words(browser, "#rules"))
    click(browser, "#rule-new")
    values = {"rule-id": "pin-it", "rule-surface": "home_carousel", "rule-items": "84879 22423", "rule-by": "2",
              "rule-owner": "Anna", "rule-reason": "Spring", "rule-hours": "5", "rule-kind": "pin"}  # fmt: skip
    for name, value in values.items():
        browser.execute_script("document.getElementById(arguments[0]).value = arguments[1]", name, value)
    browser.execute_script("document.getElementById('rule-form').requestSubmit()")
    until(browser, lambda: "In force from position 7.0.0" in words(browser, "#rules-said"))
    rule = shop.ruled["pin-it"]
    assert (rule["kind"], rule["items"], rule["by"], rule["owner"]) == ("pin", ["84879", "22423"], 2, "Anna")
    assert rule["expires_ms"] > 1000 * 3600 and "5 h left" in words(browser, "#rules")
    shop.ruled["pin-it"]["priority"] = 7
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, '[aria-label="Change rule pin-it"]'))
    browser.execute_script("sessionStorage.clear()")
    opened(browser, f"{address}/console")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, '[aria-label="Change rule pin-it"]'))
    click(browser, '[aria-label="Change rule pin-it"]')
    browser.execute_script("document.getElementById('rule-reason').value = 'Summer'")
    browser.execute_script("document.getElementById('rule-form').requestSubmit()")
    until(browser, lambda: shop.ruled["pin-it"]["reason"] == "Summer")
    assert shop.ruled["pin-it"]["priority"] == 7, "what the form does not show is kept"
    click(browser, '[aria-label="Take rule pin-it away"]')
    until(browser, lambda: "pin-it" not in shop.ruled and "pin-it is gone" in words(browser, "#rules-said"))
    assert complaints(browser) == []


def test_a_decision_is_contested_on_its_page_and_a_person_closes_it_on_the_console(browser, address, shop):
    opened(browser, f"{address}/shop")
    until(browser, lambda: shop.decisions)
    name = next(iter(shop.decisions))
    opened(browser, f"{address}/why/{name}")
    browser.execute_script("document.getElementById('contest-reason').value = arguments[0]", HOSTILE)
    browser.execute_script("document.getElementById('contest').requestSubmit()")
    until(browser, lambda: "waits for a person" in words(browser, "#contest-said"))
    assert HOSTILE in words(browser, "#person-line") and shop.reviewed[name]["reason"] == HOSTILE
    assert not browser.find_element(By.ID, "contest").is_displayed()
    opened(browser, f"{address}/console")
    until(browser, lambda: "1 waits for a person" in words(browser, "#reviews-line"))
    assert HOSTILE in words(browser, "#reviews") and "asked by shop" in words(browser, "#reviews")
    click(browser, f'[aria-label="Upheld {name}"]')
    assert "Write what you found" in words(browser, "#reviews-said") and shop.reviewed[name]["state"] == "open"
    browser.execute_script("document.querySelector('#reviews input').value = 'It is what was asked for.'")
    click(browser, f'[aria-label="Changed {name}"]')
    until(browser, lambda: "Nothing waits" in words(browser, "#reviews-line"))
    review = shop.reviewed[name]
    assert (review["state"], review["outcome"], review["note"]) == ("closed", "changed", "It is what was asked for.")
    assert "It is what was asked for." in words(browser, "#reviews")
    opened(browser, f"{address}/why/{name}")
    assert "changed it: It is what was asked for." in words(browser, "#person-line")
    assert browser.find_element(By.ID, "contest").is_displayed(), "it may be asked again"
    assert browser.execute_script("return window.pwned") is None
    assert complaints(browser) == []


def test_profiling_off_reads_nothing_and_a_stranger_starts_cold(browser, address, shop):
    opened(browser, f"{address}/shop")
    cold = order(browser, "now")
    click(browser, '#now .card[data-id="23298"] .look')
    until(browser, lambda: order(browser, "now") != cold)
    click(browser, "#profiling")
    until(browser, lambda: order(browser, "now") == cold)
    assert "No personal data read" in words(browser, "#now-line")
    events = len([call for call in shop.calls if call.get("event") == "Product Viewed"])
    click(browser, "#now .card .look")
    until(browser, lambda: "not sent" in words(browser, "#said"))
    assert len([call for call in shop.calls if call.get("event") == "Product Viewed"]) == events
    click(browser, "#profiling")
    until(browser, lambda: order(browser, "now") != cold)
    click(browser, "#stranger")
    until(browser, lambda: order(browser, "now") == cold)
    assert "stranger" in words(browser, "#now-line")


def test_forget_me_erases_the_visitor_and_prints_the_receipt(browser, address, shop):
    opened(browser, f"{address}/shop")
    cold = order(browser, "now")
    click(browser, '#now .card[data-id="23298"] .look')
    until(browser, lambda: order(browser, "now") != cold)
    visitor = browser.execute_script("return nextpaint.anonymousId")
    assert not browser.find_element(By.ID, "receipt").is_displayed()
    click(browser, "#forget")
    until(browser, lambda: order(browser, "now") == cold)
    assert shop.forgotten == [visitor] and "forgotten" in words(browser, "#said")
    assert words(browser, "#receipt-line") == "Receipt e1: 81 rows and 1 identifiers are gone"
    assert HOSTILE in words(browser, "#receipt-stores") and browser.find_element(By.ID, "receipt").is_displayed()
    assert browser.execute_script("return nextpaint.anonymousId") != visitor
    told = [at for at, call in enumerate(shop.calls) if call.get("anonymousId") == visitor]
    assert told and browser.execute_script("return window.pwned") is None
    assert complaints(browser) == []


def test_time_sixty_lets_interest_fade_and_ends(browser, address, shop):
    opened(browser, f"{address}/shop")
    cold = order(browser, "now")
    click(browser, '#now .card[data-id="23298"] .look')
    until(browser, lambda: order(browser, "now") != cold)
    click(browser, "#fast")
    until(browser, lambda: "time ×60" in words(browser, "#now-chip") and "ahead" in words(browser, "#clock"))
    scale = "return Number(/[\\d.]+/.exec(document.querySelector('#bars i').style.transform)[0])"
    until(browser, lambda: browser.execute_script(scale) < 0.97)
    click(browser, "#fast")
    until(browser, lambda: browser.execute_script(scale) > 0.97)
    assert words(browser, "#fast") == "Time ×60"


def test_data_is_text_and_never_markup(browser, address, shop):
    opened(browser, f"{address}/shop")
    assert "<b>evil</b>" in order(browser, "now")
    click(browser, "#now .card:nth-child(2) .ask")
    until(browser, lambda: words(browser, "#now .card.open .reason") != "")
    opened(browser, f"{address}/why/{list(shop.decisions)[-1]}")
    assert "onerror" in words(browser, "#shown")
    opened(browser, f"{address}/console")
    click(browser, "#run")
    until(browser, lambda: "onerror" in words(browser, "#result"))
    assert browser.execute_script("return window.pwned") is None
    assert browser.find_elements(By.CSS_SELECTOR, "img[src='x'], #result img, #shown b") == []


def test_the_console_runs_sql_and_points_at_an_error(browser, address):
    opened(browser, f"{address}/console")
    until(browser, lambda: words(browser, "#events-rate") not in ("", "–"))
    assert len(browser.find_elements(By.CSS_SELECTOR, "#fall .step")) == 5
    assert "behind" in words(browser, "#positions") and "window" in words(browser, "#latency")
    until(browser, lambda: words(browser, "#examples") != "")
    click(browser, "#run")
    until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#result tbody tr")) == 20)
    browser.execute_script("document.getElementById('sql').value = 'SELECT *\\nFROM nowhere'")
    click(browser, "#run")
    until(browser, lambda: "there is no table nowhere" in words(browser, "#sql-error"))
    assert words(browser, "#sql-error pre") == "FROM nowhere\n     ^"
    chosen = "const b = document.getElementById('sql'); return b.value.slice(b.selectionStart, b.selectionEnd)"
    assert browser.execute_script(chosen) == "nowhere"


def test_stock_zero_is_gone_and_timed(browser, address, shop):
    opened(browser, f"{address}/console")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#stock-item option"))
    item = browser.execute_script("return document.getElementById('stock-item').value")
    click(browser, "#stock-set")
    until(browser, lambda: words(browser, "#gone").startswith("Time to gone: "))
    assert shop.items[item].stock == 0 and "frame" in words(browser, "#gone")
    opened(browser, f"{address}/shop")
    assert item not in order(browser, "now")


def test_a_decision_has_a_page_and_replays(browser, address, shop):
    shop.items["22423"].stock = 0
    opened(browser, f"{address}/shop")
    opened(browser, f"{address}/why/{next(iter(shop.decisions))}")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#shown > li")) == 20
    assert "inventory.stock > 2" in words(browser, "#filters") and "retrieve" in words(browser, "#stages")
    otherwise = words(browser, "#otherwise")
    assert "if this held: inventory.stock > 2" in otherwise and "Without trend" in otherwise
    click(browser, "#replay")
    until(browser, lambda: words(browser, "#verdict").startswith("identical"))
    assert complaints(browser) == []


def test_the_keyboard_is_enough_and_narrow_screens_do_not_scroll_sideways(browser, address):
    opened(browser, f"{address}/shop")
    before = order(browser, "now")
    browser.execute_script("document.querySelector('#now .card:nth-child(9) .look').focus()")
    focused = "return document.activeElement.closest('.card')?.dataset.id"
    liked = browser.execute_script(focused)
    browser.switch_to.active_element.send_keys("\ue007")
    until(browser, lambda: order(browser, "now") != before)
    assert browser.execute_script(focused) == liked
    try:
        metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        for page in ("shop", "console", "parameters"):
            opened(browser, f"{address}/{page}")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_files_load_nothing_from_elsewhere():
    console = Path(__file__).parents[2] / "nextpaint" / "serve" / "console"
    for path in console.iterdir():
        body = path.read_text()
        assert len(body) < 16_000, path.name
        assert "innerHTML" not in body.replace("no innerHTML", "") and "eval(" not in body, path.name
        if path.suffix == ".html":
            assert "<style" not in body and "onclick" not in body and body.count("<script") == 1, path.name
        for host in body.split("https://")[1:]:
            assert host.startswith("archive.ics.uci.edu/"), path.name
