"""A shop without an engine, for the pages: 72 real titles, interest that decays, stock that hides, believable figures.

It answers in the shapes of the HTTP interface through the real edge. Also runs by itself, to look at the pages:
`python -m tests.serve.fake_shop 8080`.
"""

import asyncio
import json
import math
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from nextpaint.decide.arms import arms_told
from nextpaint.decide.budget import StageRun
from nextpaint.decide.explain import explain
from nextpaint.decide.moved import moved
from nextpaint.decide.record import Answered, Asked, DecisionRecord, FeatureSource, FilterRun, NearMiss, Ranking
from nextpaint.govern.access import Access
from nextpaint.record.errors import InvalidInput, NotFound
from nextpaint.serve.http import Route, json_response
from nextpaint.serve.pages import pages
from nextpaint.serve.server import serve

HALF_LIFE_S = 600
WEIGHTS = {"trend": 0.6, "heat": 0.5, "price": -0.02}
HOSTILE = '<img src=x onerror="window.pwned=1">"\'&<script>window.pwned=1</script> BAG'
TITLES = json.loads((Path(__file__).parent / "shop_titles.json").read_text())  # [[item_id, title, price], ...]
FAMILIES = (
    "T-LIGHT", "LANTERN", "LUNCH BAG", "JUMBO BAG", "BAG", "CAKE", "CLOCK", "BUNTING", "BOTTLE", "CUSHION", "SIGN",
    "TEACUP", "CANDLE", "DOORMAT", "UMBRELLA", "MUG", "HEART", "TIN",
)  # fmt: skip


@dataclass
class FakeReceipt:
    accepted: int
    duplicates: int = 0
    quarantined: tuple = ()
    position: str = "1.0.0"


@dataclass
class Item:
    id: str
    title: str
    price: float
    category: str
    trend: float
    stock: int = 25
    stock_at: float = field(default_factory=time.time)


def catalogue(hostile=False):
    rows = [*TITLES]
    if hostile:
        rows.insert(2, ["<b>evil</b>", HOSTILE, 1.0])
    items = {}
    for index, (item_id, title, price) in enumerate(rows):
        family = next((each for each in FAMILIES if each in title), "GIFTS")
        items[item_id] = Item(item_id, title, price, family, 1 / math.sqrt(index + 1))
    return items


class FakeShop:
    def __init__(self, hostile=False):
        self.items = catalogue(hostile)
        yesterday = {item.id: item.trend * (1 + len(item.id) % 3 / 4) for item in self.items.values()}
        self.night = sorted(self.items.values(), key=lambda item: (-yesterday[item.id], item.id))[:20]
        self.forgotten = []  # anonymous ids
        self.interest = {}  # (anonymous id, category) -> [heat, anchor seconds]
        self.decisions = {}
        self.calls = []
        self.started = time.time()
        self.last = None
        self.targets = 250
        self.reviewed = {}
        self.ruled = {"recall": {"surface": "*", "rule_id": "recall", "kind": "hide", "items": ["22423"], "by": 0,
                                 "owner": "Quality", "reason": HOSTILE, "expires_ms": None}}  # fmt: skip

    def last_night(self):
        return [{"id": i.id, "title": i.title, "category": i.category, "price": i.price} for i in self.night]

    def heats(self, anonymous, ahead_ms=0):
        now = time.time() + ahead_ms / 1000
        own = ((category, *kept) for (who, category), kept in self.interest.items() if who == anonymous)
        rows = ((category, heat * 2 ** -((now - at) / HALF_LIFE_S)) for category, heat, at in own)
        return {category: heat for category, heat in rows if heat > 0.01}

    def context(self, anonymous, ahead_ms):
        heats = self.heats(anonymous, ahead_ms)
        total = sum(heats.values()) or 1
        rows = [{"category": c, "heat": h, "share": h / total} for c, h in sorted(heats.items(), key=lambda p: -p[1])]
        return {"interests": rows, "half_life_s": HALF_LIFE_S, "recent": []}

    async def ingest(self, principal, calls, received_at_ms=None):
        self.calls += calls
        for call in calls:
            item = self.items.get(str(call.get("properties", {}).get("item_id")))
            weight = {"Product Viewed": 1.0, "Product Added": 4.0}.get(call.get("event"))
            if item and weight:
                key = (call["anonymousId"], item.category)
                heat = self.heats(call["anonymousId"]).get(item.category, 0.0)
                self.interest[key] = [heat + weight, time.time()]
                self.last = (call["event"], item.id, call["anonymousId"])
        return FakeReceipt(len(calls), position=f"{self.frame()}.0.0")

    def busy(self):
        return ""

    async def put_items(self, principal, items):
        for row in items:
            item = self.items[row["item_id"]]
            item.stock, item.stock_at = row["stock"], time.time()
        return FakeReceipt(len(items))

    async def put_rows(self, principal, table, rows):
        raise NotFound("no such table")

    async def decide(self, principal, surface, request):
        if surface != "home_carousel":
            raise NotFound(f"there is no surface {surface}", where="path", cure="use home_carousel")
        started = time.perf_counter()
        profiled = request.get("profiled", True)
        heats = self.heats(request.get("anonymousId", ""), request.get("ahead_ms", 0)) if profiled else {}
        scored = sorted(((self.score(i, heats), i) for i in self.items.values()), key=lambda p: (-p[0], p[1].id))
        shown = [pair for pair in scored if pair[1].stock > 2][: request.get("limit", 20)]
        hidden = [(rank, s, i) for rank, (s, i) in enumerate(scored, 1) if i.stock <= 2]
        decision_id = f"d{len(self.decisions):06d}-{int(started * 1e6) % 10**8:08d}"
        total = 3.1 + (time.perf_counter() - started) * 1000
        self.decisions[decision_id] = self.record(decision_id, shown, hidden, heats, profiled)
        return {
            "decision_id": decision_id, "surface": surface,
            "as_of": {"position": f"{self.frame()}.0.0", "event_time": "2026-01-05T10:00:00.000Z"},
            "items": [
                {"id": i.id, "position": n, "reason": self.reason(i, heats), "marks": [], "propensity": None,
                 "fields": {"title": i.title, "price": f"{i.price:.2f}", "category": i.category}}
                for n, (_, i) in enumerate(shown, 1)
            ],
            "degraded": [], "budget": {"window_ms": 500, "total": total}, "profiled": profiled, "cold": not heats,
            "recorded": True, "experiment": {}, "ttl_s": 60, "why": f"/why/{decision_id}",
        }  # fmt: skip

    def score(self, item, heats):
        heat = math.log1p(heats.get(item.category, 0.0))
        return WEIGHTS["trend"] * item.trend + WEIGHTS["heat"] * heat + WEIGHTS["price"] * item.price / 10

    def reason(self, item, heats):
        if item.category in heats:
            return f"You have been looking at {item.category.lower()}."
        return "Many people look at it right now."

    def record(self, decision_id, shown, hidden, heats, profiled):
        def values(item):
            return (item.trend, math.log1p(heats.get(item.category, 0.0)), item.price / 10, float(item.stock))

        def ages(item):
            return (8100, 12 if item.category in heats else None, None, int((time.time() - item.stock_at) * 1000))

        def answered(score, item):
            reason = "heat" if item.category in heats else "top"
            return Answered(item.id, score, 1, reason, item.category.lower(), values(item), ages(item))

        def near(rank, score, item):
            age = ages(item)[-1]
            saw = f"stock {item.stock}"
            return NearMiss(item.id, rank, score, "filter", "inventory.stock > 2", saw, age, values(item), ages(item))

        took = (("retrieve", 1.2), ("require", 0.3), ("features", 0.9), ("rank", 0.4), ("record", 0.3))
        features = (
            FeatureSource("trend", "trending.heat", False, "It does well in trending right now."),
            FeatureSource("heat", "category_interest.heat", True, "You have been looking at {about}."),
            FeatureSource("price", "inventory.price", False, ""),
            FeatureSource("stock", "inventory.stock", False, ""),
        )
        return DecisionRecord(
            decision_id, "home_carousel", "personalisation", "9c1f", "0", 4711, int(time.time() * 1000), 7, Asked(),
            tuple(StageRun(name, "run", ms) for name, ms in took), (("top", len(self.items)),),
            (FilterRun("inventory.stock > 2", len(hidden), tuple(item.id for _, _, item in hidden)),), features,
            Ranking("Weighted", WEIGHTS, dict.fromkeys(WEIGHTS, 1.0)), tuple(answered(*pair) for pair in shown), "00",
            len(self.items), near=tuple(near(*each) for each in hidden), profiled=profiled, cold=not heats,
        )  # fmt: skip

    async def decide_page(self, principal, request):
        raise NotFound("one surface only")

    async def explain(self, principal, decision_id, view="support", replay=False, purpose=""):
        if decision_id not in self.decisions:
            raise NotFound(f"there is no decision {decision_id}", where="path")
        titles = {item.id: item.title for item in self.items.values()}
        answer = explain(self.decisions[decision_id], view, titles)
        if replay:
            answer["replay"] = {"verdict": "identical", "differences": [], "from": "the first record"}
        if decision_id in self.reviewed:
            answer["review"] = self.reviewed[decision_id]
        return answer

    async def what_if(self, request):
        """The newest order with an item sold out or without interests: the shape of the real answer."""
        decision_id, change = request.params["decision_id"], json.loads(request.body)
        before = self.decisions[decision_id]
        if change.get("forget") and not self.interest:
            raise NotFound("this person sent no view of an item before the decision")
        gone = {key for key, facts in change.get("items", {}).items() if facts.get("stock") == 0}
        scored = sorted(((self.score(i, {}), i) for i in self.items.values()), key=lambda p: (-p[0], p[1].id))
        shown = [pair for pair in scored if pair[1].stock > 2 and pair[1].id not in gone][:20]
        after = self.record(decision_id, shown, [], {}, False)
        titles = {item.id: item.title for item in self.items.values()}
        told = moved(before, after, titles)
        words = [f"stock of {key} ({titles[key]}) 0 instead of 25" for key in gone]
        words += ["without Product Viewed 23298, 2 s before"] if change.get("forget") else []
        items = [
            {"id": i.id, "position": n, "reason": "", "fields": {"title": i.title, "price": f"{i.price:.2f}"}}
            for n, (_, i) in enumerate(shown, 1)
        ]
        return json_response({**told, "changed": words, "answer": {"items": items}})

    async def parameters(self, request):
        weights = [("trend", 0.6, False), ("heat", 0.4, True)]
        listed = [{"name": name, "means": f"what {name} means", "weight": w, "share": w, "direction": "up",
                   "personal": personal, "because": "It says most."} for name, w, personal in weights]  # fmt: skip
        surface = {"surface": "home_carousel", "purpose": "personalisation", "limit": 20, "version": "1f",
                   "ranked_by": {"kind": "weights", "text": "a sum"}, "parameters": listed, "sources": [],
                   "filled_from": None, "never_shown": [{"text": "What is sold out", "declared": "stock > 2"}],
                   "page_rules": [], "rules": [{"rule_id": HOSTILE, "kind": "pin", "reason": HOSTILE, "sponsored": True,
                   "behalf": "ACME", "paid": "ACME"}], "exploration": None, "experiment": None, "model": None,
                   "profiling": {"uses": ["heat"], "without": "Without profiling: trend alone."},
                   "changes": ["Turn profiling off."]}  # fmt: skip
        log = [{"at_ms": 1_700_000_000_000, "surface": "home_carousel", "version": "1f", "changed": ["limit: 5 -> 20"]}]
        return json_response({"application": {"title": "Retail", "hash": "9c1f"}, "as_of_ms": 1_700_000_000_000,
                              "surfaces": [surface], "log": log})  # fmt: skip

    def running_score(self):
        """A running score that has seen enough; `self.targets` says otherwise."""
        told = {"surface": "buy_again", "targets": self.targets, "known_customers": 60, "needed": 200, "listed": 10,
                "silent": "", "finished": False, "methods": []}  # fmt: skip
        if self.targets >= 200:
            told["methods"] = [
                {"method": "ours", "hit": 0.53, "interval": [0.48, 0.58], "found_per_list": 1.1},
                {"method": "last basket", "hit": 0.52, "interval": [0.47, 0.57], "found_per_list": 1.0,
                 "ours_better_by": 0.01, "better_interval": [-0.01, 0.03]},
                {"method": "popularity", "hit": 0.45, "interval": [0.40, 0.50], "found_per_list": 0.9,
                 "ours_better_by": 0.08, "better_interval": [0.03, 0.13]},
            ]  # fmt: skip
        return told

    async def experiments(self, request):
        on = {"variant": "on", "people": 400, "decisions": 900, "rewards": 80, "rewarded_people": 70, "share": 0.5,
              "reward_per_person": 0.2, "interval": [0.16, 0.24], "mismatch": 0.1, "difference": 0.06,
              "difference_interval": [0.01, 0.11]}  # fmt: skip
        off = {**on, "variant": "off", "reward_per_person": 0.14, "interval": [0.1, 0.18]}
        off.pop("difference")
        off.pop("difference_interval")
        return json_response({"experiments": [{"experiment": "exploring", "control": "off", "holdout": 0,
                                               "surfaces": ["discover"], "variants": [on, off]}]})  # fmt: skip

    async def learning(self, request):
        arms = arms_told(["lanterns", HOSTILE], [200.0, 100.0], [20.0, 3.0])
        counts = {"decisions": 50, "trials": 300, "rewards": 23, "late": 4}
        told = {"learner": "_learned_discover_eb0058de", "counts": counts, "waiting": 0, "total": [300, 23],
                "regret": {"rewards": 4.2, "share": 0.1}, "arms": arms, "more": 0}  # fmt: skip
        return json_response({"learners": [told]})

    async def rules(self, request):
        return json_response({"rules": list(self.ruled.values())})

    async def reviews(self, request):
        wanted = [each for each in self.reviewed.values() if each["state"] == request.query()["state"]]
        return json_response({"reviews": wanted})

    async def contest(self, request):
        name, now_ms = request.params["decision_id"], int(time.time() * 1000)
        review = {"decision_id": name, "state": "open", "surface": "home_carousel", "cause": "contested",
                  "reason": json.loads(request.body)["reason"], "asked_by": "shop", "asked_ms": now_ms,
                  "rounds": 1}  # fmt: skip
        self.reviewed[name] = review
        return json_response(review)

    async def close_review(self, request):
        found, review = json.loads(request.body), self.reviewed[request.params["decision_id"]]
        review |= {"state": "closed", **found, "decided_by": "desk", "decided_ms": int(time.time() * 1000)}
        return json_response(review)

    async def put_rule(self, request):
        names, rule = request.params, json.loads(request.body)
        self.ruled[names["rule_id"]] = {"surface": names["surface"], "rule_id": names["rule_id"], **rule}
        return json_response({"position": "7.0.0"})

    async def delete_rule(self, request):
        del self.ruled[request.params["rule_id"]]
        return json_response({"position": "8.0.0"})

    async def erase(self, request):
        visitor = request.query()["anonymousId"]
        self.forgotten.append(visitor)
        self.interest = {key: kept for key, kept in self.interest.items() if key[0] != visitor}
        stores = {"keys": {"identifiers_destroyed": 1, "text": "No way back."},
                  "state": {"rows_dropped": 81, "rows_marked": 0, "text": HOSTILE}}  # fmt: skip
        return json_response({"erased": True, "id": "e1", "stores": stores})

    def routes(self):
        """What the real node answers beside the edge: why, beyond one record."""
        return [
            Route("POST", "/v1/decisions/{decision_id}/what-if", self.what_if, "", scope="read", body_bytes_max=65536),
            Route("DELETE", "/v1/person", self.erase, ""),
            Route("GET", "/v1/parameters", self.parameters, ""),
            Route("GET", "/v1/experiments", self.experiments, ""),
            Route("GET", "/v1/learning", self.learning, ""),
            Route("GET", "/v1/rules", self.rules, ""),
            Route("GET", "/v1/reviews", self.reviews, ""),
            Route("POST", "/v1/decisions/{decision_id}/contest", self.contest, "", body_bytes_max=65536),
            Route("PUT", "/v1/reviews/{decision_id}", self.close_review, "", body_bytes_max=65536),
            Route("PUT", "/v1/rules/{surface}/{rule_id}", self.put_rule, "", body_bytes_max=65536),
            Route("DELETE", "/v1/rules/{surface}/{rule_id}", self.delete_rule, ""),
        ]

    async def query(self, principal, sql):
        found = re.search(r"from\s+(\w+)", sql, re.IGNORECASE)
        if not found or found.group(1) not in ("inventory", "category_interest", "trending"):
            before = sql[: found.start(1) if found else 0]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            what = f"there is no table {found.group(1) if found else '?'}"
            raise InvalidInput(what, where=f"line {line}, column {column}", cure="see Live tables")
        rows = [[i.id, i.title, i.stock, i.price] for i in list(self.items.values())[:20]]
        names = (("item_id", "STRING"), ("title", "STRING"), ("stock", "INT"), ("price", "DOUBLE"))
        return {"columns": [{"name": n, "type": t} for n, t in names], "rows": rows, "position": "1.0.0", "as_of": 0}

    def frame(self):
        return int((time.time() - self.started) * 60)

    def metrics(self):
        return ""

    def ready(self):
        return True, "ready"

    def status(self):
        age = time.time() - self.started
        events = 1800 + 240 * math.sin(age / 3) + 90 * math.sin(age * 2.3)
        durable = int(age * 1800) + 1_204_511
        wave = 1 + 0.15 * math.sin(age)
        event, item, who = self.last or ("Order Completed", "22423", "s_8fa01c77")
        stages = {"retrieve": (1.2, 3.9), "require": (0.2, 0.6), "features": (0.8, 2.4), "rank": (0.4, 1.1),
                  "rules": (0.1, 0.2), "record": (0.3, 0.7), "commit": (1.6, 6.2)}  # fmt: skip
        return {
            "application": {"name": "retail", "title": "Retail blueprint", "hash": "9c1f"}, "uptime_s": age,
            "positions": {"durable": durable, "applied": durable - int(8 + 8 * math.sin(age * 3)),
                          "emitted": durable - int(60 + 50 * math.sin(age)), "frame": 80_000 + self.frame()},
            "rates": {"events_per_s": events, "decisions_per_s": 198 + 6 * math.sin(age), "frames_per_s": 61.0,
                      "records_per_frame": events / 61},
            "totals": {"events": durable, "decisions": 84_120 + len(self.decisions), "quarantined": 3, "duplicates": 41,
                       "degraded": 12, "frames": 81_000, "late": 57, "dead": 0, "refused": 0},
            "latency": {
                "decide": {"p50_ms": 4.6 * wave, "p99_ms": 15.1 * wave, "p999_ms": 31.0, "max_ms": 48.2},
                "commit": {"p50_ms": 1.6, "p99_ms": 6.2},
                "stages": {n: {"p50_ms": a * wave, "p99_ms": b * wave} for n, (a, b) in stages.items()},
            },
            "window": {"name": "WEB_RERANK", "total_ms": 500, "ingest_ms": 100, "process_ms": 250, "govern_ms": 40},
            "fraction_inside": 0.99986,
            "last_event": {
                "event": event, "item_id": item, "subject": who, "simulated": self.last is None, "n": int(age / 3),
                "stages": [
                    {"name": name, "ms": ms}
                    for name, ms in {"door": 0.2, "frame": 0.4, "sync": 2.9 * wave, "apply": 1.3, "answer": 0.2}.items()
                ],
            },
            "tables": [
                {"name": "category_interest", "rows": 48_211, "reading": "live", "as_of": "decay", "bytes": 6_200_000},
                {"name": "trending", "rows": 3_759, "reading": "live", "as_of": "decay", "bytes": 410_000},
                {"name": "inventory", "rows": 3_759, "reading": "live", "as_of": "as is", "bytes": 380_000},
                {"name": "bought_together", "rows": 61_902, "reading": "final", "as_of": "as is", "bytes": 9_100_000},
            ],
            "state_hash": None, "recent_decisions": list(self.decisions)[-18:][::-1],
        }  # fmt: skip


class Running:
    """The fake shop behind the real edge, in a thread with its own loop; `address` is where it listens."""

    def __init__(self, shop, port=0):
        self.shop = shop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(port)), name="fake-shop", daemon=True)
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the fake shop did not start")

    async def _run(self, port):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        routes = [
            *pages(self.shop, self.shop.last_night, self.shop.context, score=self.shop.running_score),
            *self.shop.routes(),
        ]
        server = await serve(self.shop, "127.0.0.1", port, Access(), pages=routes)
        self.address = f"http://127.0.0.1:{server.port}"
        self._ready.set()
        await self._stop.wait()
        await server.stop()

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)


if __name__ == "__main__":
    running = Running(FakeShop(), int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    print(running.address)
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 3600)
    running.stop()
