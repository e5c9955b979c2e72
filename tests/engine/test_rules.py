"""Rules over HTTP on a running node: in force from one position, kept by a restart, and part of every replay."""

from tests.engine.explorer import GOODS_30, explorer, patiently
from tests.engine.shop import LiveNode, asked, ids

ANNA = {"owner": "anna", "reason": "spring"}
PRICED = 'features={"price": "goods.price"}, rank=Weighted(price=1.0), '


def test_rules_are_put_changed_listed_and_taken_away_while_the_node_runs(tmp_path):
    application = explorer("None", PRICED)
    with LiveNode(tmp_path / "node", application, items=GOODS_30) as live:
        decide = lambda: patiently(live.http, "POST", "/v1/decide/tried", json=asked("v1")).json()  # noqa: E731
        before = decide()
        assert ids(before)[0] == "g19"
        put = live.http.put("/v1/rules/tried/top", json={**ANNA, "kind": "pin", "items": ["g3"], "by": 1})
        assert put.status_code == 200, put.text
        assert put.json()["position"]
        during = decide()
        assert ids(during)[:2] == ["g3", "g19"]
        live.http.put("/v1/rules/*/gone", json={**ANNA, "kind": "hide", "items": ["g19"]}).raise_for_status()
        live.http.put("/v1/rules/tried/top", json={**ANNA, "kind": "pin", "items": ["g4"], "by": 2}).raise_for_status()
        assert ids(decide())[:2] == ["g18", "g4"]
        listed = live.http.get("/v1/rules").json()["rules"]
        assert [(each["surface"], each["rule_id"], each["kind"]) for each in listed] == [
            ("*", "gone", "hide"),
            ("tried", "top", "pin"),
        ]
        assert listed[0]["owner"] == "anna"
        assert live.http.delete("/v1/rules/tried/top").json()["deleted"]
        assert live.http.delete("/v1/rules/tried/top").status_code == 404
        after = decide()
        assert ids(after)[0] == "g18"
        for answer in (before, during, after):
            why = live.http.get(f"/v1/decisions/{answer['decision_id']}?view=support&replay=1").json()
            assert why["replay"]["verdict"] == "identical", why["replay"]
    with LiveNode(tmp_path / "node", application) as live:
        assert [each["rule_id"] for each in live.http.get("/v1/rules").json()["rules"]] == ["gone"]


def test_what_is_wrong_with_a_rule_is_said_and_nothing_changes(tmp_path):
    with LiveNode(tmp_path / "node", explorer("None", PRICED), items=GOODS_30) as live:

        def refused(body, path="/v1/rules/tried/r"):
            answer = live.http.put(path, json={**ANNA, **body})
            return answer.status_code, answer.json()["error"]["what"]

        assert refused({"kind": "hide", "items": ["g1"]}, "/v1/rules/nowhere/r")[0] == 404
        assert refused({"kind": "melt", "items": ["g1"]}) == (422, "'kind' is 'melt'")
        assert "no column 'colour'" in refused({"kind": "hide", "where": {"colour": "red"}})[1]
        assert "no feature 'heat'" in refused({"kind": "hide", "when": {"feature": "heat", "least": 1}})[1]
        assert "does not remember" in refused({"kind": "frequency", "items": ["g1"], "by": 2})[1]
        assert refused({"kind": "hide", "items": ["g1"], "colour": 1})[0] == 422
        assert refused({"kind": "hide", "items": ["g1"]}, "/v1/rules/tried/a%20b")[0] == 422
        assert live.http.get("/v1/rules").json() == {"rules": []}
