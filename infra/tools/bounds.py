"""Bounds of decimals in the OpenAPI document, from the annotations of the models: their own schemas have none."""

from collections.abc import Mapping
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

JsonObject = dict[str, Any]

_KEYWORDS = {
    Ge: ("ge", "minimum"),
    Gt: ("gt", "exclusiveMinimum"),
    Le: ("le", "maximum"),
    Lt: ("lt", "exclusiveMaximum"),
}


def add_bounds(components: Mapping[str, JsonObject]) -> None:
    """Add the bounds of every decimal member to the schemas of components."""
    models = {model.__name__: model for model in _models(BaseModel)}
    for name, component in components.items():
        if name in models:
            for member, annotation in get_type_hints(models[name], include_extras=True).items():
                if member in component.get("properties", {}):
                    bound(component["properties"][member], annotation)


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    return {each for child in model.__subclasses__() for each in (child, *_models(child))}


def bound(schema: JsonObject, annotation: Any) -> None:
    """Add the bounds of an annotation to the number that the schema permits, and to the items of a list or a map.

    >>> schema = {"anyOf": [{"type": "string", "pattern": "^-?[0-9]$"}, {"type": "number"}]}
    >>> bound(schema, Annotated[Decimal, Gt(0)])
    >>> schema
    {'anyOf': [{'type': 'string', 'pattern': '^[0-9]$'}, {'type': 'number', 'exclusiveMinimum': 0}]}
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        keywords = _keywords_of(arguments[1:])
        if arguments[0] is Decimal and keywords:
            _bound_number(schema, keywords)
        bound(schema, arguments[0])
    elif origin in {Union, UnionType}:
        for argument in arguments:
            bound(schema, argument)
    elif origin in {dict, list}:
        for choice in schema.get("anyOf", [schema]):
            items = choice.get("additionalProperties" if origin is dict else "items")
            if isinstance(items, dict):
                bound(items, arguments[-1])


def _keywords_of(metadata: tuple[Any, ...]) -> JsonObject:
    keywords: JsonObject = {}
    for each in metadata:
        if isinstance(each, FieldInfo):
            keywords |= _keywords_of(tuple(each.metadata))
        elif type(each) in _KEYWORDS:
            member, keyword = _KEYWORDS[type(each)]
            limit = getattr(each, member)
            keywords[keyword] = int(limit) if limit == int(limit) else float(limit)
    return keywords


def _bound_number(schema: JsonObject, keywords: JsonObject) -> None:
    is_positive = max(keywords.get("minimum", -1), keywords.get("exclusiveMinimum", -1)) >= 0
    for choice in schema.get("anyOf", ()):
        if choice.get("type") == "number":
            choice.update(keywords)
        elif is_positive and "pattern" in choice:
            choice["pattern"] = choice["pattern"].replace("^-?", "^")
