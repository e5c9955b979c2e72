"""A script: statements as a person types them for a SQL client, the last of them a query or an INSERT.

An application has no query that stands by itself; a conformance case and an example have. Its changes become those of
the table `planner.ANSWER`, which takes any.
"""

from __future__ import annotations

from nextpaint.record.errors import ApplicationError, Diagnostic
from nextpaint.sql.planner import ANSWER, plan_program
from nextpaint.sql.program import Program
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.statement_grammar import split_statements

_QUERY_WORDS = ("SELECT", "WITH", "VALUES", "TABLE", "FROM", "")  # "": a parenthesis


def plan_script(tables: tuple[str, str], script: tuple[str, str]) -> tuple[Program, str]:
    """The program of (file, text) of declarations and of a script, and the table its answer is: ANSWER for a query,
    else the target of the last INSERT. Raises ApplicationError."""
    file, text = script
    try:
        parts = split_statements(text, file)
    except Refusal as refusal:
        raise ApplicationError([refusal.diagnostic()]) from refusal
    queries = [(start, end) for word, start, end in parts if word in _QUERY_WORDS]
    asked = None
    statements = text
    if queries:
        start, end = queries[-1]
        asked = (file, "\n" * text.count("\n", 0, start) + text[start:end])  # line feeds keep the places of errors
        statements = text[:start] + "\n" * text.count("\n", start, end) + text[end:]
    program = plan_program([tables, (file, statements)], {}, asked)
    if not program.inserts:
        raise ApplicationError([Diagnostic(file, 0, 0, "the script asks nothing", "end it with a query or an INSERT")])
    return program, ANSWER if asked is not None else _last_target(text, program)


def _last_target(text: str, program: Program) -> str:
    """The target of the INSERT that was written last."""
    return max(program.inserts, key=lambda each: (each.at.line, each.at.column)).target
