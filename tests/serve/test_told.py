"""What must be said of an item where it is shown: paid places, prices of personal data, text of machines.

The page's own module runs in Node.js, with elements as plain objects; that the cards carry them is looked up in their
source, since this needs no browser.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

CONSOLE = Path(__file__).resolve().parents[2] / "nextpaint" / "serve" / "console"
LAW = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA"
ENTRIES = [
    ({"sponsored": True, "behalf": "ACME", "paid": "Media Ltd"}, ["Sponsored for ACME, paid by Media Ltd"]),
    ({"sponsored": True, "behalf": "ACME", "paid": "ACME"}, ["Sponsored by ACME"]),
    ({"fields": {"price_disclosure": LAW}}, [LAW]),
    ({"ai_generated": {"description": "model-7"}}, ["AI-written description"]),
    ({"marks": ["New", "<b>Sale</b>"]}, ["New", "<b>Sale</b>"]),
    ({"marks": ["New"], "sponsored": True, "behalf": "A", "paid": "A"}, ["Sponsored by A", "New"]),
    ({"id": "i1", "fields": {"price": 3}}, []),
]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_every_mark_of_an_answer_is_said_most_binding_first(tmp_path):
    module = (CONSOLE / "told.js").read_text()
    (tmp_path / "dom.mjs").write_text("export const h = (tag, attributes, ...content) => content.join('');")
    (tmp_path / "told.mjs").write_text(module.replace("./dom.js", "./dom.mjs"))
    (tmp_path / "run.mjs").write_text(
        'import { tags, toldOf } from "./told.mjs";\n'
        f"console.log(JSON.stringify({json.dumps([entry for entry, _ in ENTRIES])}.map((each) => tags(toldOf(each)))));"
    )
    done = subprocess.run(["node", tmp_path / "run.mjs"], capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(done.stdout) == [said for _, said in ENTRIES]


@pytest.mark.parametrize(("page", "cards"), [("shop.js", "cards.js"), ("feed.js", "posters.js")])
def test_both_pages_say_it_on_every_card(page, cards):
    assert "told: toldOf(" in (CONSOLE / page).read_text()
    assert ".said.replaceChildren(...tags(" in (CONSOLE / cards).read_text()
