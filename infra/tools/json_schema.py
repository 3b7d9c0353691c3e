"""JSON Schema as client generators understand it, out of the schemas that pydantic and Powertools write."""

from collections.abc import Iterator, Mapping
from typing import Any

JsonObject = dict[str, Any]

_KEYWORDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "multiple_of": "multipleOf",
}
"""Names of pydantic's constraints and the JSON Schema keywords of the same meaning."""

_NAMED = ("properties", "$defs", "schemas")
"""Members whose keys are names chosen by the schema's author, not keywords."""


def standard(node: Any) -> Any:
    """Return a document with standard keywords in all its schemas.

    Constraints have the names of JSON Schema. A map has the schema of its values in `additionalProperties` and the
    pattern of its keys in `propertyNames`: generators make a class without members from `patternProperties`.

    >>> standard({"type": "integer", "ge": 1})
    {'type': 'integer', 'minimum': 1}
    >>> standard({"type": "object", "patternProperties": {"^a$": {"type": "string"}}, "additionalProperties": False})
    {'type': 'object', 'additionalProperties': {'type': 'string'}, 'propertyNames': {'pattern': '^a$'}}
    """
    if isinstance(node, list):
        return [standard(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    written = {_KEYWORDS.get(key, key) if _is_number(value) else key: value for key, value in node.items()}
    if patterns := written.pop("patternProperties", None):
        ((pattern, values),) = patterns.items()
        written |= {
            "additionalProperties": values,
            "propertyNames": {"pattern": pattern, **written.get("propertyNames", {})},
        }
    return {
        key: {name: standard(each) for name, each in value.items()} if key in _NAMED else standard(value)
        for key, value in written.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def references(node: Any) -> Iterator[str]:
    """Yield the target of every reference in a document."""
    if isinstance(node, list):
        for each in node:
            yield from references(each)
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)


def without_unused(components: Mapping[str, Mapping[str, Any]], paths: Any) -> JsonObject:
    """Return the components that the paths refer to, directly or through other components."""
    used: set[str] = set()
    pending = list(references(paths))
    while pending:
        reference = pending.pop()
        if reference not in used:
            used.add(reference)
            kind, name = reference.split("/")[2:]
            pending += references(components[kind][name])
    return {
        kind: {name: each for name, each in named.items() if f"#/components/{kind}/{name}" in used}
        for kind, named in components.items()
    }
