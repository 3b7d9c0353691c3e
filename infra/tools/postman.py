"""A collection of all operations in the format of Postman, version 2.1, which Bruno and Insomnia import, too.

The collection is small enough to be written here from the OpenAPI document: the converters for Node give every request
a new id in each run, and invent bodies that the API refuses.
"""

import json
from collections.abc import Iterator
from typing import Any

from infra.config import ROOT

JsonObject = dict[str, Any]

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
EVENTS = ROOT / "events"


def collection(document: JsonObject) -> JsonObject:
    """Return the collection of an OpenAPI document: a folder for each tag, and variables for address, token and ids."""
    folders: dict[str, list[JsonObject]] = {tag["name"]: [] for tag in document["tags"]}
    names = ["base_url", "token"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            folders[operation["tags"][0]].append(_item(document, method, path, operation))
            names += [name for name in _path_parameters(operation) if name not in names]
    return {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": name, "value": ""} for name in names],
        "item": [{"name": name, "item": items} for name, items in folders.items() if items],
    }


def _item(document: JsonObject, method: str, path: str, operation: JsonObject) -> JsonObject:
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    url: JsonObject = {
        "raw": "/".join(["{{base_url}}", *segments]),
        "host": ["{{base_url}}"],
        "path": segments,
        "query": list(_parameters(document, operation, "query")),
        "variable": [{"key": name, "value": f"{{{{{name}}}}}"} for name in _path_parameters(operation)],
    }
    request: JsonObject = {
        "method": method.upper(),
        "description": operation["description"],
        "url": url,
        "header": list(_parameters(document, operation, "header")),
    }
    if content := operation.get("requestBody", {}).get("content"):
        media_type, described = next(iter(content.items()))
        request["header"].append({"key": "Content-Type", "value": media_type})
        request["body"] = {"mode": "raw", "raw": _body(document, operation["operationId"], described["schema"])}
    if not operation["security"]:
        request["auth"] = {"type": "noauth"}
    return {"name": operation["summary"], "request": request}


def _path_parameters(operation: JsonObject) -> list[str]:
    return [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]


def _parameters(document: JsonObject, operation: JsonObject, place: str) -> Iterator[JsonObject]:
    """Yield the parameters of the query or the headers; optional ones are switched off."""
    for each in operation.get("parameters", ()):
        if each["in"] == place:
            value = example(document, each["schema"])
            text = value if isinstance(value, str) else json.dumps(value)
            found = {"key": each["name"], "value": text, "description": each["description"]}
            yield found if each.get("required") else {**found, "disabled": True}


def _body(document: JsonObject, operation_id: str, schema: JsonObject) -> str:
    """Return the body of the operation's payload in `events`, or one with the required members."""
    for payload in sorted(EVENTS.glob(f"*_api/{operation_id}.json")):
        body: str = json.loads(payload.read_text())["body"]
        return _indented(json.loads(body)) if body.startswith("{") else body
    value = example(document, schema)
    return value if isinstance(value, str) else _indented(value)


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def example(document: JsonObject, schema: JsonObject) -> Any:
    """Return a value that fits a schema: its example, its first choice, or an object of the required members.

    >>> example({}, {"type": "object", "required": ["a"], "properties": {"a": {"enum": ["x", "y"]}, "b": {}}})
    {'a': 'x'}
    """
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return example(document, {**target, **{name: value for name, value in schema.items() if name != "$ref"}})
    if given := [*schema.get("examples", ()), *schema.get("enum", ())]:
        return given[0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return example(document, choices[0])
    value: Any
    match schema.get("type"):
        case "object":
            value = {name: example(document, schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            value = [example(document, schema["items"])]
        case "integer" | "number":
            value = schema.get("minimum", 1)
        case "boolean":
            value = True
        case _:
            value = schema.get("const", "2026-01-31T09:30:00Z" if schema.get("format") == "date-time" else "")
    return value
