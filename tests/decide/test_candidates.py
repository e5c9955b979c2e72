"""Uniting retrievers: each item once, fairly interleaved, with the bit of every retriever that found it."""

from nextpaint.decide.candidates import Candidates, append, merge
from nextpaint.decide.context import Context, Moment
from nextpaint.decide.request import DecisionRequest
from tests.decide.reading import NOW_MS, shop


def found(*ids):
    context = Context(shop(12), "catalog", DecisionRequest(), (), Moment("d", NOW_MS, 0))
    return context.found(ids)


def test_items_of_several_retrievers_are_interleaved_and_marked():
    union = merge([found("i003", "i001", "i005"), found("i001", "i002")])
    assert union.keys() == ["i003", "i001", "i002", "i005"]
    assert union.sources.tolist() == [0b01, 0b11, 0b10, 0b01]


def test_an_empty_retriever_keeps_its_bit():
    union = merge([Candidates.none(), found("i001")])
    assert union.sources.tolist() == [0b10]
    assert len(merge([])) == len(merge([Candidates.none()])) == 0


def test_append_adds_only_what_is_new():
    union = append(merge([found("i001", "i002")]), found("i002", "i007"), 3)
    assert union.keys() == ["i001", "i002", "i007"]
    assert union.sources.tolist() == [1, 1, 8]


def test_unknown_ids_are_dropped_and_counted():
    context = Context(shop(12), "catalog", DecisionRequest(), (), Moment("d", NOW_MS, 0))
    assert context.found(["i001", "nope", "i002", "neither"]).keys() == ["i001", "i002"]
    assert context.unknown == 2
