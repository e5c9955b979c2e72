"""ML_PREDICT: a table with the columns a model adds, as a projection.

    ML_PREDICT(TABLE t, MODEL m, DESCRIPTOR(a, b))     also with INPUT =>, MODEL =>, ARGS =>

The descriptor's columns go to the model's inputs by position. An output whose name is taken gets an index: `score0`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nextpaint.record import types
from nextpaint.record.types import Field
from nextpaint.sql import coercion, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.plan import Call, Changes, ColumnRef, Expr, Project
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.relation import Relation
from nextpaint.sql.scope import Scope
from nextpaint.sql.user_functions import in_force


def prediction(plan_source: Callable[[syntax.Source], Relation], source: syntax.Prediction) -> Relation:
    """The table's columns, then the model's outputs."""
    models = in_force().models
    model = models.get(source.model.text)
    if model is None:
        known = near(source.model.text, models) or "CREATE MODEL declares one"
        raise Refusal(f"unknown model {source.model.text}", source.model.at, known)
    if not model.exact and in_force().continuous:
        raise Refusal(
            f"{model.name} is inexact: its scores could differ on replay",
            source.model.at,
            "train trees (LightGBM, XGBoost), or score where the table is read",
        )
    inner = plan_source(source.source)
    schema = inner.node.schema
    if schema.changes is not Changes.APPEND:
        raise Refusal(
            "ML_PREDICT needs rows that are not updated later", source.at, "predict over the stream of events"
        )
    if len(source.columns) != len(model.inputs):
        raise Refusal(
            f"{model.name} takes {len(model.inputs)} columns, not {len(source.columns)}",
            source.columns[0].at,
            f"in this order: {', '.join(each.name for each in model.inputs)}",
        )
    binder = Binder(inner.scope)
    args: list[Expr] = []
    for column, wanted in zip(source.columns, model.inputs, strict=True):
        value = binder.value(syntax.Name((column,), column.at))
        if not coercion.stores(value.type, wanted.type):
            raise Refusal(
                f"{column.text} is {value.type}, the model's {wanted.name} is {wanted.type}",
                column.at,
                "CAST it in a view",
            )
        args.append(coercion.cast(coercion.cast(value, wanted.type, column.at), types.DOUBLE, column.at))
    refs: list[Expr] = [ColumnRef(each.type, index, each.name, source.at) for index, each in enumerate(schema.fields)]
    options = (("identity", model.identity), ("name", model.name))
    score = Call(types.DOUBLE, "PREDICT", tuple(args), options, source.at)
    name = model.outputs[0].name
    taken = 0
    while (name if not taken else f"{name}{taken - 1}") in schema.names:
        taken += 1
    fields = (*schema.fields, Field(name if not taken else f"{name}{taken - 1}", types.DOUBLE, False))
    made = replace(schema, fields=fields)
    node = Project(made, inner.node, (*refs, score), source.at)
    alias = source.alias.text if source.alias is not None else ""
    return Relation(node, Scope.of(made, alias))
