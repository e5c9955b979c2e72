"""Bid requests: whatever comes is a request, a refusal that names what is wrong, or a place without a bid."""

import json

from hypothesis import given
from hypothesis import strategies as st

from nextpaint.decide.bidding import is_blocked_domain
from nextpaint.record.errors import NextpaintError
from nextpaint.serve.http import decode_json
from nextpaint.serve.openrtb import BidRequest, NoBid, person_of, place_of, seat_may_bid, withheld
from tests.engine.ads import asked

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("id", "imp", "site", "app", "device", "user", "test", "tmax", "wseat", "bseat", "cur", "bcat", "badv", "regs")


def read(body):
    request = decode_json(json.dumps(body).encode(), BidRequest)
    person_of(request)
    withheld(request, 755)
    seat_may_bid(request, "s1")
    for imp in request.imp:
        try:
            place_of(request, imp, 1)
        except NoBid as none:
            assert none.why
    return request


def test_a_request_of_the_usual_shape_is_read():
    request = read(asked())
    place = place_of(request, request.imp[0], 1)
    assert place["formats"] == ["banner"] and place["sizes"] == ["300x250"] and place["site"] == "news.example"
    assert place["battr"] == ["13"] and place["secure"] is True and place["bcat"] == ["IAB25", "IAB7-39"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_field_may_be_anything(changed):
    try:
        read({**asked(), **changed})
    except NextpaintError as error:
        assert error.what and error.status in (400, 422)


@given(
    st.dictionaries(st.sampled_from(["banner", "native", "bidfloor", "bidfloorcur", "secure", "tagid", "pmp"]), JSON)
)
def test_any_part_of_a_place_may_be_anything(changed):
    try:
        read(asked([{"id": "1", "banner": {"w": 300, "h": 250}, **changed}]))
    except NextpaintError as error:
        assert error.what and error.status in (400, 422)


def test_a_blocked_domain_blocks_what_is_below_it_and_nothing_beside_it():
    blocked = frozenset({"shop.example"})
    assert is_blocked_domain("shop.example", blocked) and is_blocked_domain("DE.Shop.Example.", blocked)
    assert not is_blocked_domain("myshop.example", blocked) and not is_blocked_domain("example", blocked)
