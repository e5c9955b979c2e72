"""Regular expressions that may never end are refused; others are bounded by the length of the text."""

import pytest

from nextpaint.process.functions.evaluation import Failed
from nextpaint.process.functions.patterns import java_regex, regexp, regexp_extract
from nextpaint.sql.pattern_safety import longest_text


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a*)*", "(.*x)*y", "((ab)+c)+", "(a|a)*b", "(a|ab)*c", "(?:x?|y)+z", "(\\w+\\s?)*$"]
)
def test_what_may_never_end_is_refused(pattern):
    with pytest.raises(ValueError, match="may never end"):
        longest_text(pattern)


@pytest.mark.parametrize(
    ("pattern", "longest"),
    [
        ("abc", 1_000_000),
        ("[a-z]+", 20_000),
        ("(&|^)channel_id=([^&]*)", 20_000),
        ("(foo|bar)*", 20_000),
        ("a{1,3}(b{2}){5}", 1_000_000),
        (".*a.*", 1_500),
        (".*a.*b.*c.*", 400),
    ],
)
def test_others_are_bounded_by_the_length_of_the_text(pattern, longest):
    assert longest_text(pattern) == longest


def test_a_text_longer_than_that_fails_its_row():
    assert regexp("y" * 20_000, "x+y") is False
    with pytest.raises(Failed, match="longer than the 20000"):
        regexp("x" * 20_001, "x+y")


def test_the_worst_that_is_allowed_ends():
    assert regexp_extract("a" * 200, "a*a*b") is None
    assert java_regex("(") is None
