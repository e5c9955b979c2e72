"""Lengths of time are written with a unit, and nothing else passes."""

import pytest

from nextpaint.decide.duration import age_text, duration_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500 ms", 500),
        ("20 s", 20_000),
        ("10 min", 600_000),
        ("1 h", 3_600_000),
        ("30d", 2_592_000_000),
        ("1.5 h", 5_400_000),
    ],
)
def test_lengths(text, ms):
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "10", "min", "10 minutes ago", "-3 s", "0 s", "1e3 s"])
def test_other_text_is_refused_by_name(text):
    with pytest.raises(ValueError, match="write a") as caught:
        duration_ms(text)
    assert repr(text) in str(caught.value)


def test_ages_in_words():
    assert [age_text(ms) for ms in (-5, 12, 4_999, 180_000, 7_200_000, 400_000_000)] == [
        "0 ms",
        "12 ms",
        "4 s",
        "3 min",
        "2 h",
        "4 d",
    ]
