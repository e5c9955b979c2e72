"""Consent strings: what was agreed to is read back, and what cannot be read is no consent."""

from hypothesis import given
from hypothesis import strategies as st

from nextpaint.govern.tcf import TEXT_CHARACTERS_MAX, agreed
from tests.engine.consents import consent

PURPOSES = st.sets(st.integers(1, 24))
VENDORS = st.sets(st.integers(1, 1_500), max_size=60)


@given(PURPOSES, VENDORS, st.booleans())
def test_what_was_agreed_to_is_read_back(purposes, vendors, ranges):
    found = agreed(consent(purposes, vendors, ranges))
    assert (found.purposes, found.vendors) == (purposes, vendors)


@given(PURPOSES, VENDORS)
def test_further_segments_change_nothing(purposes, vendors):
    text = consent(purposes, vendors)
    assert agreed(f"{text}.YAAAAAAAAAAA.nonsense!") == agreed(text)


@given(st.text(max_size=400))
def test_any_text_is_read_or_is_no_consent(text):
    agreed(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_are_no_consent(data):
    import base64

    agreed(base64.urlsafe_b64encode(data).decode())


def test_what_is_cut_of_another_version_or_too_long_is_no_consent():
    text = consent({1, 3, 4}, {1, 755})
    assert agreed(text[:20]) is None and agreed("") is None and agreed(text + "A" * TEXT_CHARACTERS_MAX) is None
    assert agreed(consent({1}, {1}, version=1)) is None
    assert agreed(consent({1}, {5}, ranges=True)[:-3]) is None
