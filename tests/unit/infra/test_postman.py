"""The collection for Postman has every operation of the OpenAPI document, with a body that fits."""

import json
from typing import Any

from jsonschema import Draft202012Validator

from infra.tools import openapi, postman

DOCUMENT = openapi.document()
COLLECTION = postman.collection(DOCUMENT)
REQUESTS: dict[str, Any] = {
    f"{each['request']['method']} {each['request']['url']['raw']}": each["request"]
    for folder in COLLECTION["item"]
    for each in folder["item"]
}


def request_of(method: str, path: str) -> Any:
    """Return the request of an operation."""
    raw = "/".join(f":{part[1:-1]}" if part.startswith("{") else part for part in path.split("/"))
    return REQUESTS[f"{method.upper()} {{{{base_url}}}}{raw}"]


def test_every_operation_has_one_request_with_its_parameters_and_a_body_that_fits() -> None:
    operations = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    assert len(REQUESTS) == len(operations) == sum(len(folder["item"]) for folder in COLLECTION["item"])
    for method, path in operations:
        operation, request = DOCUMENT["paths"][path][method], request_of(method, path)
        query = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        assert {each["key"] for each in request["url"]["query"]} == query
        assert ("auth" in request) == (not operation["security"])
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body:
            schema = {**body["schema"], "components": DOCUMENT["components"]}
            Draft202012Validator(schema).validate(json.loads(request["body"]["raw"]))


def test_every_variable_that_a_request_uses_is_declared() -> None:
    declared = {each["key"] for each in COLLECTION["variable"]}
    used = {each["key"] for request in REQUESTS.values() for each in request["url"]["variable"]}
    assert declared == {"base_url", "token"} | used


def test_optional_parameters_are_switched_off() -> None:
    limits = [each for each in request_of("get", "/portfolios")["url"]["query"] if each["key"] == "limit"]
    assert [each["disabled"] for each in limits] == [True]
