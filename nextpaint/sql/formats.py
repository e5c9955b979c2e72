"""How the values of a table's records are written: JSON objects, changes with images in JSON, or Avro.

    'value.format' = 'avro'              plain Avro of the declared columns in their order, as Flink's format writes it
    'value.format' = 'avro-confluent'    0x00, the id of the schema that wrote it, Avro
    'value.avro-confluent.schemas' = '{"7": {"type": "record", ...}}'    those schemas by id

`format` may be written for `value.format`; an option of the format has the same prefix. Columns take the fields of a
written schema by name (`record.avro`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from nextpaint.record.avro import Avro, declared, misfit, parsed
from nextpaint.record.types import Field
from nextpaint.sql.plan import At
from nextpaint.sql.program import Table
from nextpaint.sql.refusal import Refusal

JSON, IMAGES, AVRO, CONFLUENT = "json", "debezium-json", "avro", "avro-confluent"
_SCHEMAS = "avro-confluent.schemas"


@dataclass(frozen=True, slots=True)
class ValueFormat:
    """`schemas`: by id; of plain Avro under 0."""

    name: str
    schemas: Mapping[int, Avro] = field(default_factory=dict)


def value_format(table: Table) -> ValueFormat:
    """The format of a checked table."""
    return check_format(table, {})


def check_format(table: Table, places: Mapping[str, At]) -> ValueFormat:
    """The format of a table. Raises Refusal when it cannot fill the table's columns; `places`: of its options."""
    derived = {index for index, _ in table.computed} | {index for index, _, _ in table.metadata}
    physical = [each for index, each in enumerate(table.fields) if index not in derived]
    return _format(dict(table.options), physical, places, table.at)


def _format(options: Mapping[str, str], fields: list[Field], places: Mapping[str, At], at: At) -> ValueFormat:
    written = [key for key in ("format", "value.format") if key in options]
    if len(written) > 1:
        raise Refusal("format and value.format are one and the same", places.get("value.format", at), "leave one out")
    name = options[written[0]] if written else JSON
    key = ("value." if written == ["value.format"] else "") + _SCHEMAS
    spare = [each for each in (_SCHEMAS, f"value.{_SCHEMAS}") if each in options and (name != CONFLUENT or each != key)]
    if spare:
        raise Refusal(f"'{spare[0]}' is read by nothing here", places.get(spare[0], at), f"the format is '{name}'")
    if name in (JSON, IMAGES):
        return ValueFormat(JSON)
    place = places.get(written[0], at)
    try:
        if name == AVRO:
            return ValueFormat(AVRO, {0: declared(fields)})
        if key not in options:
            cure = f'\'{key}\' = \'{{"7": {{"type": "record", ...}}}}\''
            raise Refusal("nothing says by which schemas the records were written", place, cure)
        place = places.get(key, at)
        return ValueFormat(CONFLUENT, _schemas(options[key], fields))
    except ValueError as wrong:
        raise Refusal(str(wrong), place) from wrong


def _schemas(text: str, fields: list[Field]) -> dict[int, Avro]:
    try:
        given = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise ValueError(f"the schemas are not a JSON object by id: {error}") from error
    found: dict[int, Avro] = {}
    for identity, schema in given.items():
        if not identity.isdecimal() or not 0 <= int(identity) < 2**32:
            raise ValueError(f"'{identity[:40]}' is not the id of a schema")
        made = found[int(identity)] = parsed(bytes(schema).decode())
        if made.kind != "record":
            raise ValueError(f"the schema {identity} is not a record")
        own = dict(made.fields)
        wrong = next(filter(None, (misfit(own[each.name], each.type, each.name) for each in fields if each.name in own)), "")  # fmt: skip  # noqa: E501
        if wrong:
            raise ValueError(f"{wrong} (schema {identity})")
    if not found:
        raise ValueError("no schema is given")
    return found
