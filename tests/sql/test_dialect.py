"""Lexical rules: what is a word, a name, a string, a number, and where each begins."""

import pytest

from nextpaint.sql.dialect import Kind, tokenize
from nextpaint.sql.refusal import Refusal


def texts(sql: str) -> list[tuple[str, str]]:
    return [(token.kind.name, token.text) for token in tokenize(sql)][:-1]


def test_names_strings_and_numbers_are_unescaped():
    assert texts("a `x``y` 'it''s' 1.5 2e3 .5 a.b t[1]") == [
        ("WORD", "a"), ("QUOTED", "x`y"), ("STRING", "it's"), ("NUMBER", "1.5"), ("NUMBER", "2e3"), ("NUMBER", ".5"),
        ("WORD", "a"), ("SIGN", "."), ("WORD", "b"), ("WORD", "t"), ("SIGN", "["), ("NUMBER", "1"), ("SIGN", "]"),
    ]  # fmt: skip


def test_strings_with_escapes_and_bytes_are_kinds_of_their_own():
    assert texts(r"U&'it''s \00e9' u&'' x'0f'") == [("UNICODE", r"it's \00e9"), ("UNICODE", ""), ("HEX", "0f")]


def test_comments_are_skipped_and_places_kept():
    tokens = tokenize("-- one\n  a /* ; */ ,\n 'b\nc' d", "f.sql")
    assert [str(token.at) for token in tokens] == ["f.sql:2:3", "f.sql:2:13", "f.sql:3:2", "f.sql:4:4", "f.sql:4:5"]
    assert tokens[-1].kind is Kind.END


@pytest.mark.parametrize(
    ("sql", "place", "said"),
    [
        ("a\n 'open", "2:2", "not closed"),
        ("a `open", "1:3", "not closed"),
        ("'a' /* open", "1:5", "not closed"),
        ("a ? b", "1:3", "not part of Flink SQL"),
        ("1abc", "1:1", "not part of Flink SQL"),
        ("``", "1:1", "quoted name is empty"),
        ("a \\ b", "1:3", "not part of Flink SQL"),
        ("x" * 1_000_001, "1:1", "more than 1000000"),
    ],
)
def test_other_characters_are_refused_at_their_place(sql, place, said):
    with pytest.raises(Refusal, match=said) as caught:
        tokenize(sql)
    assert f"{caught.value.at.line}:{caught.value.at.column}" == place


def test_a_hint_inside_a_string_is_text():
    assert texts("'/*+ x */'") == [("STRING", "/*+ x */")]


def test_a_hint_is_one_token():
    tokens = tokenize("SELECT /*+ STATE_TTL('t' = '1 d') */ a /* not one */ FROM t -- nor /*+ this")
    assert [(each.kind, each.at.column) for each in tokens[1:3]] == [(Kind.HINT, 8), (Kind.WORD, 38)]
    assert tokens[1].text == " STATE_TTL('t' = '1 d') "
    assert len(tokens) == 6
