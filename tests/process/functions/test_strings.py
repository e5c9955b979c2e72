"""Functions of text: what Flink 2.3 answers."""

import pytest

from nextpaint.process.functions.compile import compile_expr
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import BOOLEAN, BYTES, INT, STRING
from nextpaint.sql.plan import Call, Literal

S = "héllo wörld"


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("||", ("a", "b"), "ab"),
        ("||", (b"a", b"b"), b"ab"),
        ("CONCAT", ("a", None), None),
        ("CONCAT", ("a", "b", "c"), "abc"),
        ("CONCAT_WS", ("-", "a", None, "b"), "a-b"),
        ("CONCAT_WS", (None, "a", "b"), None),
        ("CONCAT_WS", ("-", None), ""),
        ("UPPER", ("straße",), "STRASSE"),
        ("LOWER", ("ÀÉ",), "àé"),
        ("INITCAP", ("hello wORLD foo-bar a1b",), "Hello World Foo-Bar A1b"),
        ("INITCAP", (S,), "HéLlo WöRld"),
        ("SUBSTRING", (S, 0), S),
        ("SUBSTRING", (S, 0, 2), "hé"),
        ("SUBSTRING", (S, 1, 2), "hé"),
        ("SUBSTRING", (S, 2, 3), "éll"),
        ("SUBSTRING", (S, -3), "rld"),
        ("SUBSTRING", (S, -3, 2), "rl"),
        ("SUBSTRING", (S, -30, 28), ""),
        ("SUBSTRING", (S, -30), ""),
        ("SUBSTRING", (S, 2, -1), None),
        ("SUBSTRING", (S, 2, 0), ""),
        ("SUBSTRING", (S, 100), ""),
        ("SUBSTRING", ("a😀b", 2, 1), "😀"),
        ("LEFT", (S, -1), ""),
        ("LEFT", (S, 2), "hé"),
        ("RIGHT", (S, 3), "rld"),
        ("RIGHT", (S, -1), ""),
        ("RIGHT", (S, 0), ""),
        ("RIGHT", (S, 100), S),
        ("REPLACE", ("abc", "", "x"), "xaxbxcx"),
        ("REPLACE", (S, "l", ""), "héo wörd"),
        ("SPLIT_INDEX", ("a,b,,c", ",", 2), ""),
        ("SPLIT_INDEX", ("a,b,,c", ",", 4), None),
        ("SPLIT_INDEX", ("a,b", ",", -1), None),
        ("SPLIT_INDEX", ("a--b", "--", 1), "b"),
        ("SPLIT_INDEX", ("", ",", 0), None),
        ("SPLIT_INDEX", ("a  b", " ", 1), ""),
        ("SPLIT_INDEX", ("a b", "", 1), "b"),
        ("REGEXP_REPLACE", ("foobar", "oo|ar", ""), "fb"),
        ("REGEXP_REPLACE", ("foobar", "o(o)", "[$1]"), "f[$1]bar"),
        ("REGEXP_REPLACE", ("foobar", "o(o)", "\\$"), "f\\$bar"),
        ("REGEXP_REPLACE", ("foobar", "(", "x"), None),
        ("REGEXP_EXTRACT", ("foothebar", "foo(.*?)(bar)", 2), "bar"),
        ("REGEXP_EXTRACT", ("foothebar", "foo(.*?)(bar)", 3), None),
        ("REGEXP_EXTRACT", ("foothebar", "foo(.*?)(bar)"), "foothebar"),
        ("REGEXP_EXTRACT", ("foothebar", "foo(x)?", 1), None),
        ("REGEXP_EXTRACT", ("foo", "(", 1), None),
        ("REGEXP_EXTRACT", ("k=5&channel_id=apple", "(&|^)channel_id=([^&]*)", 2), "apple"),
        ("REGEXP_EXTRACT", ("héé1", "\\w+", 0), "h"),
        ("REGEXP_EXTRACT", ("a1", "(?<digit>[0-9])", 1), "1"),
        ("LPAD", ("hi", 4, "??"), "??hi"),
        ("LPAD", ("hi", 1, "??"), "h"),
        ("LPAD", ("hi", 5, "xyz"), "xyzhi"),
        ("LPAD", ("hi", 6, "xyz"), "xyzxhi"),
        ("LPAD", ("hi", 5, ""), None),
        ("LPAD", ("hi", -1, "x"), None),
        ("RPAD", ("hi", 5, "xyz"), "hixyz"),
        ("RPAD", ("hi", 1, "x"), "h"),
        ("REPEAT", ("ab", 2), "abab"),
        ("REPEAT", ("ab", -1), ""),
        ("REVERSE", ("a😀b",), "b😀a"),
        ("MD5", ("abc",), "900150983cd24fb0d6963f7d28e17f72"),
        ("SHA256", ("",), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ],
)
def test_text_from_text(run, function, arguments, expected):
    type_ = BYTES if isinstance(expected, bytes) else STRING
    assert run(function, type_, *arguments) == expected


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("CHAR_LENGTH", ("a😀",), 2),
        ("LOCATE", ("l", S), 3),
        ("LOCATE", ("l", S, 4), 4),
        ("LOCATE", ("l", S, 5), 10),
        ("LOCATE", ("l", S, 0), 3),
        ("LOCATE", ("l", S, -1), 3),
        ("LOCATE", ("", S), 1),
        ("POSITION", ("w", S), 7),
        ("POSITION", ("z", S), 0),
        ("INSTR", (S, ""), 1),
        ("INSTR", (S, "w"), 7),
    ],
)
def test_positions_count_from_one(run, function, arguments, expected):
    assert run(function, INT, *arguments) == expected


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("REGEXP", ("foobar", "o+"), True),
        ("REGEXP", ("foobar", ""), False),
        ("REGEXP", ("foobar", "("), False),
        ("STARTSWITH", ("abc", ""), True),
        ("STARTSWITH", ("abc", "b"), False),
        ("ENDSWITH", ("abc", "bc"), True),
    ],
)
def test_tests(run, function, arguments, expected):
    assert run(function, BOOLEAN, *arguments) is expected


@pytest.mark.parametrize(
    ("arguments", "side", "expected"),
    [
        (("  a ",), "BOTH", "a"),
        ((" \ta",), "BOTH", "\ta"),
        (("xxaxx", "x"), "BOTH", "a"),
        (("xxaxx", "x"), "LEADING", "axx"),
        (("xxaxx", "x"), "TRAILING", "xxa"),
        (("xyxaxy", "xy"), "BOTH", "a"),
    ],
)
def test_trim(run, arguments, side, expected):
    assert run("TRIM", STRING, *arguments, side=side) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "escape", "expected"),
    [
        ("a_b", "a\\_b", None, False),
        ("a%b", "a!%b", "!", True),
        ("axb", "a!%b", "!", False),
        ("\n", "_", None, False),
        ("a\nb", "a%b", None, True),
        (S, "%wörld", None, True),
        (S, "h%", None, True),
        (S, "%lo w%", None, True),
        (S, S, None, True),
        (S, "%", None, True),
        (S, "", None, False),
        ("", "%", None, True),
        ("aXbXc", "a%b%c", None, True),
        ("abc", "a_c", None, True),
        ("ABC", "abc", None, False),
        ("a.c", "a.c", None, True),
        ("abc", "a.c", None, False),
        ("aab", "%ab", None, True),
    ],
)
def test_like(run, text, pattern, escape, expected):
    options = {} if escape is None else {"escape": escape}
    assert run("LIKE", BOOLEAN, text, pattern, **options) is expected


def test_a_wrong_escape_is_refused_when_compiled():
    call = Call(BOOLEAN, "LIKE", (Literal(STRING, "ab"), Literal(STRING, "a!b")), (("escape", "!"),))
    with pytest.raises(ApplicationError, match="escape"):
        compile_expr(call)


def test_a_text_of_hostile_length_fails_its_row(run):
    assert run("REPEAT", STRING, "abc", 2**31 - 1).startswith("failed: a text of 6442450941 characters")
    assert run("LPAD", STRING, "abc", 2**31 - 1, "x").startswith("failed:")


def test_null_in_null_out(run):
    for function, count in (("UPPER", 1), ("LEFT", 2), ("REPLACE", 3), ("REGEXP_EXTRACT", 2), ("MD5", 1)):
        assert run(function, STRING, *[(STRING, None)] * count) is None
