"""What an explanation says about how long it exists."""

import pytest

from nextpaint.decide.retention import DAY_MS, Retention
from nextpaint.engine.kept import FOR_EVER, Term, classes_kept, length, size
from nextpaint.stream.retention import RetentionClass

MADE_MS = 1_790_000_000_000  # 21 September 2026


def term(again=True, taken=False, replay_days=7, **classes):
    return Term(Retention(classes, replay_days), MADE_MS, again, taken)


def test_without_limits_a_record_is_kept_with_the_ledger_and_so_is_what_it_is_made_of():
    said = term()
    assert said.sentence == f"{FOR_EVER} It can be made again from the ledger for as long."
    told = said.told()
    assert (told["until"], told["until_ms"], told["recomputable_until"]) == (None, None, None)


def test_a_term_has_dates():
    said = term(decisions=RetentionClass(400 * DAY_MS))
    assert "kept for 400 days, until 2027-10-26; it is deleted by 2027-11-27. " in said.sentence
    assert "until 2026-09-28 at least, unless a person is erased before." in said.sentence
    assert said.told()["until_ms"] == MADE_MS + 400 * DAY_MS


def test_a_term_by_size_says_so():
    both = term(decisions=RetentionClass(DAY_MS * 30, 20 << 30)).sentence
    assert "kept for 30 days, until 2026-10-21, or when newer ones take 20 gb; it is deleted by 2026-11-22." in both
    only = term(decisions=RetentionClass(None, 1500)).sentence
    assert only.startswith("This record is kept until newer ones take 1500 bytes, or longer. ")


def test_other_classes_end_recomputing_but_not_the_record():
    said = term(events=RetentionClass(90 * DAY_MS))
    assert said.sentence.startswith(FOR_EVER)
    assert said.told()["recomputable_until"] == "2026-09-28"
    assert term(reads=RetentionClass(90 * DAY_MS)).told()["recomputable_until"] is None, "nothing is made of reads"
    assert term(taken=True).told()["recomputable_until"] == "2026-09-28", "what was declared before took records"


def test_beyond_the_horizon_it_is_recorded_and_no_longer_recomputable():
    said = term(again=False, taken=True)
    assert said.sentence.endswith("It is recorded, no longer recomputable.")
    assert said.told()["recomputable"] is False


@pytest.mark.parametrize(("ms", "text"), [(DAY_MS, "1 days"), (90 * DAY_MS, "90 days"), (DAY_MS * 3 // 2, "36 hours")])
def test_lengths(ms, text):
    assert length(ms) == text


@pytest.mark.parametrize(("bytes_", "text"), [(1 << 30, "1 gb"), (3 << 20, "3 mb"), (1536, "1536 bytes")])
def test_sizes(bytes_, text):
    assert size(bytes_) == text


def test_an_export_says_it_of_every_class():
    kept = classes_kept(Retention({"events": RetentionClass(DAY_MS * 90), "orders": RetentionClass(None, 1 << 30)}))
    assert kept == {
        "events": "for 90 days", "decisions": "for ever", "reads": "for ever", "reviews": "for ever",
        "proofs": "for ever", "outputs": "for ever", "orders": "up to 1 gb",
    }  # fmt: skip
