"""A bidder: creatives with prices, what people like, and a surface that answers bid requests."""

from nextpaint.application import SETTINGS, SURFACES, Application

SQL = """
SET 'nextpaint.events.lateness' = '1 s';
SET 'nextpaint.idle-advance' = '1 s';
SET 'table.exec.source.idle-timeout' = '1 s';
CREATE TABLE creatives (
  item_id STRING, topic STRING, cpm DOUBLE, adomain STRING, cat STRING, attr STRING, format STRING, w INT, h INT,
  adm STRING, cid STRING, headline STRING, picture STRING, body STRING, sponsor STRING, target STRING,
  active BOOLEAN, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND, PRIMARY KEY (item_id) NOT ENFORCED);
CREATE TABLE fx (currency STRING, rate DOUBLE, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND, PRIMARY KEY (currency) NOT ENFORCED);
CREATE VIEW looks AS SELECT subject, properties, ts FROM events WHERE event = 'Article Read';
CREATE TABLE likes (subject STRING, topic STRING, heat DOUBLE, PRIMARY KEY (subject, topic) NOT ENFORCED);
INSERT INTO likes SELECT subject, JSON_VALUE(properties, '$.topic'), DECAYED_SUM(CAST(1 AS DOUBLE), INTERVAL '1' DAY)
FROM looks GROUP BY subject, JSON_VALUE(properties, '$.topic');
CREATE TABLE outcomes (subject STRING, event STRING, decision_id STRING, item_id STRING, price DOUBLE, loss STRING);
INSERT INTO outcomes SELECT subject, event, decision_id, item_id, JSON_VALUE(properties, '$.price' RETURNING DOUBLE),
  JSON_VALUE(properties, '$.loss_reason')
FROM events WHERE event IN ('Bid Won', 'Bid Billed', 'Bid Lost');
CREATE TABLE wins (subject STRING, won BIGINT, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO wins SELECT subject, COUNT(*) FROM outcomes WHERE event = 'Bid Won' GROUP BY subject;
CREATE TABLE lost (decision_id STRING, loss STRING, PRIMARY KEY (decision_id) NOT ENFORCED);
INSERT INTO lost SELECT decision_id, loss FROM outcomes WHERE event = 'Bid Lost';
CREATE TABLE spent (item_id STRING, won BIGINT, total DOUBLE, PRIMARY KEY (item_id) NOT ENFORCED);
INSERT INTO spent SELECT item_id, COUNT(*), SUM(price) FROM outcomes WHERE event = 'Bid Won' GROUP BY item_id;
"""
SURFACE = """
import time
from nextpaint.decide import BID_INPUTS, Bid, NotSeen, Nothing, Surface, Top, Weighted, Window
PATIENT = Window("RTB", 8_000, 2_800, 3_600, 800, ttl_s=10)  # shared as RTB is, for a machine that others use as well
ads = Surface("ads", window=PATIENT, purpose="personalisation", items="creatives", limit=5, inputs={**BID_INPUTS},
    retrieve=[Top("creatives", by="cpm", k=200)],
    require=["creatives.active",
             Bid(attributes="attr", campaign="cid", seat="s1", vendor=755, rates="fx", network_ms=NETWORK,
                 native={"title": "headline", "image": "picture", "description": "body", "sponsor": "sponsor",
                         "link": "target"}),
             NotSeen("impressions", times=2, within="1 d")],
    features={"likes": "likes.heat", "price": "creatives.cpm"}, rank=Weighted(likes=0.8, price=0.2), fallback=Nothing())
plain = Surface("plain", window=PATIENT, purpose="service", items="creatives", retrieve=[Top("creatives", by="cpm")])
"""


def bidder(network_ms=0, surfaces=""):
    """`surfaces`: further ones, as Python."""
    files = {
        "ads.sql": SQL.encode(), SETTINGS: b'name = "bidder"\nmain_surface = "ads"\n',
        SURFACES: (SURFACE.replace("NETWORK", str(network_ms)) + surfaces).encode(),
    }  # fmt: skip
    return Application.of(files)


def banner(item_id, topic, cpm, domain, cat, size=(300, 250), **more):
    return {
        "item_id": item_id, "topic": topic, "cpm": cpm, "adomain": domain, "cat": cat, "format": "banner",
        "w": size[0], "h": size[1], "adm": f'<a href="https://{domain}"><img src="https://{domain}/{item_id}.png"></a>',
        "cid": f"c-{item_id}", "attr": "", "active": True, **more,
    }  # fmt: skip


def native(item_id, topic, cpm, domain, cat, **more):
    return {
        "item_id": item_id, "topic": topic, "cpm": cpm, "adomain": domain, "cat": cat, "format": "native",
        "headline": f"A headline about {topic} that is long", "picture": f"https://{domain}/{item_id}.jpg",
        "body": "What it is.", "sponsor": domain, "target": f"https://{domain}/go", "attr": "", "active": True, **more,
    }  # fmt: skip


CREATIVES = [
    banner("shoes", "running", 2.0, "shoes.example", "IAB17-30"),
    banner("tents", "camping", 1.5, "de.outdoor.example", "IAB20-5", attr="1,6"),
    banner("pans", "cooking", 1.2, "pans.example", "IAB8", size=(728, 90)),
    banner("casino", "games", 9.0, "casino.example", "IAB9-9,IAB25"),
    banner("plain", "news", 0.3, "plain.example", "IAB12", adm='<img src="http://plain.example/a.png">'),
    native("story", "cooking", 1.0, "kitchen.example", "IAB8-5"),
]


def imp(number=1, **more):
    return {"id": str(number), "banner": {"w": 300, "h": 250, "pos": 1, "battr": [13]}, "secure": 1, **more}


def asked(imps=None, **more):
    """A request as exchanges send them, with fields nobody here reads."""
    return {
        "id": "80ce30c53c16e6ede735f123ef6e32361bfc7b22", "at": 1, "cur": ["USD"], "tmax": 10_000,
        "imp": [imp()] if imps is None else imps, "bcat": ["IAB25", "IAB7-39"], "badv": ["apple.example"],
        "site": {"id": "102855", "domain": "news.example", "cat": ["IAB3-1"], "page": "https://news.example/1234.html",
                 "publisher": {"id": "8953", "name": "news.example", "domain": "news.example"}},
        "device": {"ua": "Mozilla/5.0 (X11; Linux x86_64)", "ip": "64.124.253.1", "js": 1, "devicetype": 2},
        "user": {"id": "45asdf987656789adfad4678rew656789"}, "source": {"tid": "t-1", "ext": {"schain": {}}},
        **more,
    }  # fmt: skip
