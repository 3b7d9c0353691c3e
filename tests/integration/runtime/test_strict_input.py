"""A value of a wrong JSON type is refused in every member of every body, message and RPC; nothing is coerced."""

import inspect
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from functions.betting_rpc import requests as rpcs
from tests.support.system import APPS, System
from tests.support.trading import FEED
from trimtab.contracts import messages
from trimtab.contracts.fields import Model
from trimtab.kernel import strict_json

JSON: dict[str, tuple[str, ...]] = {
    "boolean": ("true", "false"),
    "integer": ("0", "1", "5"),
    "number": ("1.5", "-0.5"),
    "string": ('"true"', '"1"', '"x"'),
    "array": ("[]", "[5]"),
    "object": ("{}", '{"x": 5}'),
    "null": ("null",),
}
"""Values of each JSON type, as texts: numbers are read as the API reads them."""

EARLIER_API = {("RecordTrade", "side"), ("CorrectTrade", "side"), ("CorrectFill", "side")}
"""Members that take the numbers of the earlier API, too: 1 for BUY, 2 for SELL."""


def _models() -> list[type[BaseModel]]:
    bodies = [
        body.field_info.annotation
        for function in APPS
        for route in (*function.app._static_routes, *function.app._dynamic_routes)
        for body in route.dependant.body_params
    ]
    classes = [kind for module in (messages, rpcs) for _, kind in inspect.getmembers(module, inspect.isclass)]
    named = [kind for kind in classes if kind.__module__ in {messages.__name__, rpcs.__name__}]
    found: set[type[BaseModel]] = set()
    for kind in (*bodies, *named):
        found.update(_nested(kind, found))
    return sorted(found, key=lambda model: (model.__module__, model.__name__))


def _nested(kind: Any, known: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if inspect.isclass(kind) and issubclass(kind, Model) and kind is not Model and kind not in known:
        yield kind
        for field in kind.model_fields.values():
            yield from _nested(field.annotation, known)
    for argument in getattr(kind, "__args__", ()):
        yield from _nested(argument, known)


def _types(schema: dict[str, Any], definitions: dict[str, Any]) -> set[str]:
    """Return the JSON types that a schema takes."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices:
        return set().union(*(_types(choice, definitions) for choice in choices))
    if "type" not in schema:
        constants = schema.get("enum", [schema.get("const")])
        return {"integer" if isinstance(each, int) else "string" for each in constants}
    return {schema["type"], *(("integer",) if schema["type"] == "number" else ())}


@pytest.mark.parametrize("model", _models(), ids=lambda model: model.__name__)
def test_a_wrong_json_type_is_never_coerced(model: type[BaseModel]) -> None:
    adapter, schema = TypeAdapter(model), model.model_json_schema(mode="validation")
    for name, member in schema["properties"].items():
        if (model.__name__, name) in EARLIER_API:
            continue
        taken = _types(member, schema.get("$defs", {}))
        for text in (
            text for kind in JSON.keys() - taken for text in JSON[kind] if not (text == "1e0" and "integer" in taken)
        ):
            with pytest.raises(ValidationError) as refused:
                adapter.validate_python({name: strict_json.loads(text)}, from_attributes=True)
            assert name in {error["loc"][0] for error in refused.value.errors() if error["loc"]}, (name, text)


@pytest.mark.parametrize("model", _models(), ids=lambda model: model.__name__)
def test_a_body_that_is_no_object_is_never_taken_for_one(model: type[BaseModel]) -> None:
    values: tuple[Any, ...] = (Decimal(5), 5, True, "x", [], [{}], None)
    for value in values:
        with pytest.raises(ValidationError):
            TypeAdapter(model).validate_python(value, from_attributes=True)


@pytest.mark.parametrize("policy", [5, 0, 1.5, "x", [], True, None])
def test_a_policy_is_an_object(system: System, policy: Any) -> None:
    portfolio_id = system.portfolio()["portfolio_id"]
    for method, path in (("POST", "/portfolio"), ("PATCH", f"/portfolios/{portfolio_id}")):
        answer = system.http(method, path, {"policy": policy} | ({"user_id": "2"} if method == "POST" else {}))
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "policy")


@pytest.mark.parametrize("active", [0, 1, "true", None, []])
def test_whether_an_asset_is_active_is_true_or_false(system: System, active: Any) -> None:
    body = {"name": "Apple Inc.", "exchange": "XNAS", "active": active}
    answer = system.http("PUT", "/assets/AAPL", body, authorizer=FEED)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "active")
