"""[retention] of nextpaint.toml: what it may say, and what is refused, with the place and the cure."""

import pytest

from nextpaint.application import Application
from nextpaint.decide.retention import DAY_MS, place
from nextpaint.record.errors import ApplicationError
from nextpaint.stream.retention import FOREVER, RetentionClass
from tests.engine.explorer import explorer
from tests.engine.shop import corner

ORDERS = "CREATE TABLE orders (order_id STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND);"


def declared(text, application=None):
    application = application or corner(sql=ORDERS)
    files = dict(application.files)
    files["nextpaint.toml"] += text.encode()
    return Application.of(files).retention


def refused(text, application=None):
    with pytest.raises(ApplicationError) as found:
        declared(text, application)
    (diagnostic,) = found.value.diagnostics
    return diagnostic


def test_nothing_is_limited_that_is_not_named():
    retention = declared("")
    assert (retention.classes, retention.replay_days) == ({}, 7)
    policy = retention.policy()
    assert {policy.of(topic) for topic in ("events", "decisions", "goods", "orders", "_app")} == {FOREVER}


def test_classes_become_limits_of_their_topics():
    text = """
[retention]
replay = "3 days"
events = { age = "2 weeks", bytes = "5 gb" }
decisions = "1 year"
reads = "2 years"
outputs = "7d"
orders = { bytes = "1 gb" }
"""
    retention = declared(text)
    policy = retention.policy()
    assert retention.replay_days == 3
    assert policy.of("events") == RetentionClass(14 * DAY_MS, 5 << 30)
    assert policy.of("decisions") == policy.of("_propensities") == RetentionClass(365 * DAY_MS)
    assert policy.of("_audit") == RetentionClass(730 * DAY_MS)
    assert policy.of("passed") == policy.of("_dead") == RetentionClass(7 * DAY_MS), "statements write passed"
    assert policy.of("orders") == RetentionClass(None, 1 << 30)
    assert {policy.of(topic) for topic in ("goods", "consents", "identity", "_vectors", "_erase")} == {FOREVER}


@pytest.mark.parametrize(
    ("line", "what", "cure"),
    [
        ('decision = "90 days"', "no class or stream 'decision'", "known: events, decisions, reads"),
        ('goods = "90 days"', "goods has a primary key", "DELETE /v1/tables/goods/rows"),
        ('seen = "90 days"', "seen has a primary key", "leave it out"),
        ('passed = "90 days"', "passed is written by a statement", "outputs ="),
        ('impressions = "90 days"', "impressions are events", "events ="),
        ('events = "90 moons"', "events is '90 moons'", '"90 days"'),
        ("events = 90", "events is 90", '"90 days"'),
        ('events = "0 days"', "events is '0 days'", '"90 days"'),
        ('events = { age = "90 days", size = "1 gb" }', "events is {", "bytes ="),
        ('events = { bytes = "much" }', "events is {", "bytes ="),
        ('reviews = { bytes = "1 gb" }', "reviews are kept for a time", 'reviews = "2 years"'),
        ('replay = "12 h"', "replay is '12 h'", "whole days"),
        ('replay = "2 years"', "replay is '2 years'", "1 to 366"),
        ('decisions = "3 days"', "less than the 7 days in which decisions can be made again", "7 days or longer"),
    ],
)
def test_nonsense_is_refused_with_its_place_and_a_cure(line, what, cure):
    found = refused(f'\n# how long\n[retention]\nreads = "1 year"\n  {line}\n')
    assert what in found.what
    assert cure in found.cure
    assert (found.file, found.line, found.column) == ("nextpaint.toml", 7, 3)


def test_nothing_goes_before_the_window_of_a_reward_is_over():
    application = explorer("ThompsonSampling(per='item_id', reward=reward)")
    text = application.files["surfaces.py"].decode()
    slow = text.replace('within="30 min"', 'within="30 d"')
    if slow == text:
        pytest.fail("the explorer's reward has no window of 30 minutes any more")
    patient = Application.of({**application.files, "surfaces.py": slow.encode()})
    found = refused('\n[retention]\nevents = "20 days"\n', patient)
    assert "waits 30 days for its outcomes" in found.what
    assert declared('\n[retention]\nevents = "40 days"\nreads = "8 days"\n', patient).age_ms("events") == 40 * DAY_MS


def test_a_section_that_is_no_section():
    found = refused("\n", corner_of(b'retention = "90 days"\n'))
    assert "[retention] is '90 days'" in found.what


def corner_of(settings):
    application = corner()
    object.__setattr__(application, "files", {**application.files, "nextpaint.toml": settings})
    return application


def test_places_are_those_of_the_section():
    text = 'events = 1\n[retention] # all\n"orders" = "1 d"\n[other]\nreads = 3\n'
    assert place(text, "orders") == (3, 1)
    assert place(text, "reads") == (2, 1)
    assert place(text, "events") == (2, 1)
    assert place("", "events") == (0, 0)
