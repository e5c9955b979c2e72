"""CREATE FUNCTION and CREATE MODEL resolved against an application's own files."""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.sql import signatures
from nextpaint.sql.definitions import CreateFunction, CreateModel, Statement
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.user_functions import InForce, Library, UserFunction, UserModel

_SECRETS = ("key", "password", "secret", "token")


def resolved(statements: Sequence[Statement], library: Library | None, found: list[Refusal]) -> InForce:
    """What the statements declare; `found` gets what cannot be resolved."""
    functions: dict[str, UserFunction] = {}
    models: dict[str, UserModel] = {}
    for each in statements:
        if not isinstance(each, CreateFunction | CreateModel):
            continue
        at = each.target_at if isinstance(each, CreateFunction) else each.name.at
        try:
            if library is None:
                raise ValueError("there is no application's folder here to find it in")
            if isinstance(each, CreateModel):
                models[each.name.text] = library.model(each.name.text, each.inputs, each.outputs, dict(each.options))
                continue
            name = each.name.text.upper()
            if name in signatures.known_names():
                raise ValueError(f"{each.name.text} is the name of a function of SQL")
            functions[name] = library.function(each.name.text, each.target)
        except ValueError as wrong:
            found.append(Refusal(str(wrong), at))
    return InForce(functions, models)


def shown_model(model: CreateModel) -> str:
    """The statement again; what may be a secret is masked."""
    parts = [f"CREATE MODEL {model.name.text}"]
    for word, fields in (("INPUT", model.inputs), ("OUTPUT", model.outputs)):
        if fields:
            parts.append(f"{word} ({', '.join(f'{each.name} {each.type}' for each in fields)})")
    options = [
        f"'{key}' = '{'****' if any(word in key for word in _SECRETS) else value}'" for key, value in model.options
    ]
    return " ".join([*parts, f"WITH ({', '.join(options)})"])
