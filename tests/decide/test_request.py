"""A request is refused with the name of what is wrong, before anything is read."""

import pytest

from nextpaint.decide import DecisionRequest, Optional
from nextpaint.decide.request import InputType
from nextpaint.record.errors import InvalidInput, NotFound
from tests.decide.surfaces import BODY, decider

INPUTS = {"page": InputType(str), "item_id": Optional(str), "size": Optional(int), "cart": Optional(list)}


def parse(body):
    return DecisionRequest.parse("home", INPUTS, body)


def test_a_full_request_is_read_as_it_was_sent():
    request = parse(
        {
            "userId": "u1",
            "inputs": {"page": "home", "size": 3, "cart": ["a", "b", "a"]},
            "items": ["i2", "i1", "i2"],
            "limit": 5,
            "exclude": ["i9"],
            "profiled": False,
            "events": [{"type": "track"}],
            "position": "p",
        }
    )
    assert request.user_id == "u1"
    assert request.items == ("i2", "i1")
    assert request.inputs == {"page": "home", "item_id": None, "size": 3, "cart": ("a", "b")}
    assert (request.limit, request.exclude, request.profiled) == (5, ("i9",), False)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"inputs": {}}, "input 'page' is missing"),
        ({"inputs": {"page": "home", "pge": 1}}, "unknown input 'pge'"),
        ({"inputs": {"page": 7}}, "input 'page' is 7"),
        ({"inputs": {"page": "home", "size": True}}, "input 'size' is True"),
        ({"inputs": {"page": "home", "cart": "x"}}, "input 'cart' is 'x'"),
        ({"inputs": {"page": "x" * 5000}}, "input 'page'"),
        ({"inputs": []}, "input 'page' is missing"),
        ({"inputs": [1]}, "'inputs' is [1]"),
        ({"inputs": {"page": "home"}, "limt": 3}, "unknown key 'limt'"),
        ({"inputs": {"page": "home"}, "limit": 0}, "'limit' is 0"),
        ({"inputs": {"page": "home"}, "limit": "20"}, "'limit' is '20'"),
        ({"inputs": {"page": "home"}, "limit": 201}, "'limit' is 201"),
        ({"inputs": {"page": "home"}, "items": ["a", 3]}, "an element of 'items' is 3"),
        ({"inputs": {"page": "home"}, "items": ["a"] * 1001}, "'items'"),
        ({"inputs": {"page": "home"}, "userId": ""}, "'userId' is ''"),
        ({"inputs": {"page": "home"}, "profiled": "no"}, "'profiled' is 'no'"),
        ({"inputs": {"page": "home"}, "as_of_ms": 1.5}, "'as_of_ms' is 1.5"),
        ("home", "the request is 'home'"),
    ],
)
def test_what_is_wrong_is_named(body, named):
    with pytest.raises(InvalidInput) as caught:
        parse(body)
    assert named in caught.value.what
    assert "surface 'home'" in str(caught.value)


def test_a_near_name_is_proposed():
    with pytest.raises(InvalidInput) as caught:
        parse({"inputs": {"page": "home", "itm_id": "x"}})
    assert "did you mean 'item_id'?" in str(caught.value)


def test_an_unknown_surface_is_not_found_and_the_nearest_is_named():
    with pytest.raises(NotFound, match="home_carousl") as caught:
        decider().request("home_carousl", BODY)
    assert "did you mean 'home_carousel'?" in str(caught.value)
