"""Three-valued logic, and that a branch nobody takes is not evaluated."""

from itertools import product

import pytest

from nextpaint.process.functions.compile import Evaluation, Failures, compile_expr, predicate
from nextpaint.record.columns import Column
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, decimal
from nextpaint.sql.plan import Call, ColumnRef, Literal

TRUTH = (True, False, None)
A, B = ColumnRef(INT, 0, "a"), ColumnRef(INT, 1, "b")


def lit(value):
    return Literal({int: INT, str: STRING, bool: BOOLEAN, float: DOUBLE}[type(value)], value)


def evaluate(expr, *columns):
    ev = Evaluation(columns, len(columns[0]))
    return compile_expr(expr)(ev).to_list(), ev.failures.rows


def ints(*values):
    return Column.of(INT, values)


def kleene_and(x, y):
    return False if x is False or y is False else None if x is None or y is None else True


@pytest.mark.parametrize(("x", "y"), list(product(TRUTH, TRUTH)))
def test_and_or_not(run, x, y):
    left, right = (BOOLEAN, x), (BOOLEAN, y)
    negated = {True: False, False: True, None: None}
    assert run("AND", BOOLEAN, left, right) is kleene_and(x, y)
    assert run("OR", BOOLEAN, left, right) is negated[kleene_and(negated[x], negated[y])]
    assert run("NOT", BOOLEAN, left) is negated[x]


def test_whole_truth_tables_in_one_batch():
    for count in (2, 3):
        lines = list(product(TRUTH, repeat=count))
        columns = tuple(Column.of(BOOLEAN, side) for side in zip(*lines, strict=True))
        refs = tuple(ColumnRef(BOOLEAN, index, "x") for index in range(count))
        expected = []
        for line in lines:
            value = True
            for part in line:
                value = kleene_and(value, part)
            expected.append(value)
        assert evaluate(Call(BOOLEAN, "AND", refs), *columns)[0] == expected


@pytest.mark.parametrize(
    ("function", "answers"),
    [
        ("IS NULL", (False, False, True)),
        ("IS NOT NULL", (True, True, False)),
        ("IS TRUE", (True, False, False)),
        ("IS NOT TRUE", (False, True, True)),
        ("IS FALSE", (False, True, False)),
        ("IS NOT FALSE", (True, False, True)),
        ("IS UNKNOWN", (False, False, True)),
    ],
)
def test_tests_are_never_null(function, answers):
    ref = ColumnRef(BOOLEAN, 0, "x")
    assert evaluate(Call(BOOLEAN, function, (ref,)), Column.of(BOOLEAN, TRUTH))[0] == list(answers)
    no_null = Column.of(BOOLEAN, [True, False])
    assert evaluate(Call(BOOLEAN, function, (ref,)), no_null)[0] == list(answers[:2])


def test_a_predicate_keeps_true_only():
    keep = predicate(ColumnRef(BOOLEAN, 0, "x"))
    assert keep(Evaluation((Column.of(BOOLEAN, TRUTH),), 3)).tolist() == [True, False, False]


DIVIDE = Call(INT, "/", (A, B))  # fails where b = 0


def test_case_does_not_evaluate_a_branch_nobody_takes():
    guarded = Call(INT, "CASE", (Call(BOOLEAN, "<>", (B, lit(0))), DIVIDE, lit(-1)))
    assert evaluate(guarded, ints(6, 7, 8, None), ints(2, 0, None, 2)) == ([3, -1, -1, None], {})


def test_later_conditions_see_only_the_rows_that_reach_them():
    first = Call(BOOLEAN, "=", (B, lit(0)))
    second = Call(BOOLEAN, ">", (DIVIDE, lit(2)))
    expr = Call(STRING, "CASE", (first, lit("zero"), second, lit("big"), lit("small")))
    assert evaluate(expr, ints(6, 7, 8, 9), ints(2, 0, 8, 0)) == (["big", "zero", "small", "zero"], {})


def test_a_row_that_fails_in_a_branch_is_reported_under_its_own_number():
    inner = Call(INT, "CASE", (Call(BOOLEAN, ">", (A, lit(5))), DIVIDE, lit(0)))
    outer = Call(INT, "CASE", (Call(BOOLEAN, ">", (A, lit(1))), inner, lit(-1)))
    values, failed = evaluate(outer, ints(1, 7, 3, 9, 8), ints(0, 1, 0, 0, 2))
    assert values == [-1, 7, 0, None, 4]
    assert failed == {3: "division by zero"}


def test_and_and_or_stop_where_the_answer_is_known():
    big = Call(BOOLEAN, ">", (DIVIDE, lit(1)))
    guarded = Call(BOOLEAN, "AND", (Call(BOOLEAN, "<>", (B, lit(0))), big))
    assert evaluate(guarded, ints(6, 7, 1, 1), ints(2, 0, 1, None)) == ([True, False, False, None], {})
    either = Call(BOOLEAN, "OR", (Call(BOOLEAN, "=", (B, lit(0))), big))
    assert evaluate(either, ints(6, 7, 1, 1), ints(2, 0, 1, None)) == ([True, True, False, None], {})
    unguarded = Call(BOOLEAN, "AND", (big, Call(BOOLEAN, "<>", (B, lit(0)))))
    assert evaluate(unguarded, ints(7), ints(0))[1] == {0: "division by zero"}


def test_coalesce_and_if_evaluate_for_the_rows_that_reach_them():
    coalesce = Call(INT, "COALESCE", (B, DIVIDE, lit(5)))
    assert evaluate(coalesce, ints(1, 2, 3), ints(0, None, 7)) == ([0, 5, 7], {})
    assert evaluate(Call(INT, "COALESCE", (A, DIVIDE)), ints(1, None), ints(0, 0)) == ([1, None], {})
    branch = Call(INT, "IF", (Call(BOOLEAN, "=", (B, lit(0))), lit(0), DIVIDE))
    assert evaluate(branch, ints(6, 6), ints(0, 2)) == ([0, 3], {})


def test_if_takes_the_else_for_null(run):
    assert run("IF", STRING, (BOOLEAN, None), "a", "b") == "b"
    assert run("IF", STRING, True, "a", "b") == "a"


def test_nullif_and_coalesce(run):
    assert run("NULLIF", INT, 1, 1) is None
    assert run("NULLIF", INT, 1, 2) == 1
    assert run("NULLIF", INT, 1, (INT, None)) == 1
    assert run("COALESCE", BIGINT, None, (INT, None), 5) == 5
    assert run("COALESCE", INT, None, None) is None


def test_branches_are_brought_to_the_type_of_the_result(run):
    assert repr(run("CASE", DOUBLE, True, 1, 2.5)) == "1.0"
    assert str(run("CASE", decimal(3, 1), False, 1, 2)) == "2.0"
    assert run("CASE", INT, False, 1) is None


def test_no_failure_is_lost_or_doubled_over_several_expressions():
    failures = Failures()
    columns = (ints(1, 2, 3), ints(0, 1, 0))
    for _ in range(2):
        compile_expr(DIVIDE)(Evaluation(columns, 3, 0, failures))
    assert failures.rows == {0: "division by zero", 2: "division by zero"}
    assert len(failures) == 2
