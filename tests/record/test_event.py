"""The bytes of an event: what goes in comes out, absent columns cost nothing, newer fields are ignored."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.record.event import COLUMNS, Event, decode, decode_all, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.builds(
        Event,
        message_id=TEXT,
        type=st.sampled_from(["track", "page"]),
        subject=TEXT,
        ts=st.integers(-(2**62), 2**62),
        received_at=st.integers(0, 2**62),
        event=st.none() | TEXT,
        anonymous=st.booleans(),
        properties=TEXT,
        item_id=st.none() | TEXT,
        position=st.none() | st.integers(0, 2**31),
        purposes=st.lists(TEXT, max_size=3).map(tuple),
    )
)
def test_an_event_survives_its_bytes(event: Event):
    assert decode(encode(event)) == event
    assert decode(memoryview(encode(event))) == event


def test_the_columns_are_the_fields():
    assert sorted(COLUMNS) == sorted(Event.__struct_fields__)


def test_properties_are_a_json_text_inside_the_object_and_absent_columns_are_left_out():
    data = encode(Event(message_id="m", type="track", subject="s", ts=1, received_at=2, properties='{"a":1}'))
    assert json.loads(data) == {
        "message_id": "m", "type": "track", "subject": "s", "ts": 1, "received_at": 2, "properties": '{"a":1}',
    }  # fmt: skip


def test_a_newer_field_is_ignored_and_damage_is_an_error():
    data = encode(Event(message_id="m", type="track", subject="s", ts=1, received_at=2))
    assert decode_all([data[:-1] + b',"newer":[1]}'])[0].message_id == "m"
    with pytest.raises(msgspec.DecodeError):
        decode(data[:-3])
