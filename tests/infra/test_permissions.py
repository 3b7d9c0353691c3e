"""The role of each function grants the AWS calls of the function, table by table and queue by queue, and no others.

The calls are those of all integration tests: moto allows all calls, and `tests.support.call_recorder` records them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.infra.conftest import Synthesised, functions_of, listed, statements_of, strings
from tests.support.call_recorder import Call, recorded_calls

IMPLIED = {
    "sns:Publish": ("kms:Decrypt", "kms:GenerateDataKey"),  # SNS encrypts a message with the rights of the sender
    "s3:GetObject": ("s3:ListBucket",),  # without the right, S3 answers 403 instead of 404 for a missing file
}
"""Actions for which AWS asks in addition, by the action of the call."""
OF_LAMBDA = {
    *("logs:CreateLogStream", "logs:PutLogEvents"),
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"),
    *("sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
    *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"),
}
"""Actions of Lambda itself, for logs and event sources of a function; operational metrics read attributes, too."""
MISSPELT = "mraket"
"""The table of no system; `tests/integration/operator/test_drill.py` drills a function with a wrong table name."""
VERIFICATION = "ssm:GetParameter"
"""The action by which a verifier of tokens reads the keys of an issuer; `test_identity.py` tests who may."""


@pytest.fixture(scope="module")
def calls() -> set[Call]:
    """The recorded calls of all functions."""
    recorded = recorded_calls()
    if recorded is None:
        pytest.skip("no record of the calls of this code: run all of tests/integration first, as `make test` does")
    recorded = {call for call in recorded if call.action != VERIFICATION and call.resource != MISSPELT}
    extra = {Call(call.function, implied) for call in recorded for implied in IMPLIED.get(call.action, ())}
    return recorded | extra


def test_every_call_is_granted(production: Synthesised, alpaca: Synthesised, calls: set[Call]) -> None:
    """Compare with the grants for both brokers, because the integration tests use both."""
    assert sorted(calls - _grants(production) - _grants(alpaca)) == []


def test_a_role_without_one_of_its_grants_is_found_by_function_action_and_resource(
    production: Synthesised, calls: set[Call]
) -> None:
    granted = calls & _grants(production)
    found: set[Call] = set()
    for name, function in functions_of(production).items():
        used = {call for call in granted if call.function == name}
        for action, taken, left in _one_grant_less(statements_of(production, function)):
            missing = used - _grants_in(production, name, left)
            assert missing == used & _grants_in(production, name, [taken]), f"{name} has {action} twice"
            found |= missing

    assert found == granted
    assert {call.function for call in found} == set(functions_of(production)) - {"authorizer"}


def test_no_function_has_a_grant_that_the_function_never_uses(production: Synthesised, calls: set[Call]) -> None:
    unused = {grant for grant in _grants(production) - calls if grant.action not in OF_LAMBDA}

    assert sorted(unused - _uses_of_lambda(production)) == []


def _grants(production: Synthesised) -> set[Call]:
    """Return the grants of all functions."""
    return {
        grant
        for name, function in functions_of(production).items()
        for grant in _grants_in(production, name, statements_of(production, function))
    }


def _grants_in(production: Synthesised, name: str, statements: Sequence[Any]) -> set[Call]:
    """Return the grants in the policy statements of a function."""
    return {
        Call(name, action, _resource(production, resource))
        for statement in statements
        for action in strings(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def _one_grant_less(statements: Sequence[Any]) -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield each action of each statement, with the statement for the action alone and the statements that remain."""
    for number, statement in enumerate(statements):
        for action in strings(statement["Action"]):
            rest = {**statement, "Action": [each for each in strings(statement["Action"]) if each != action]}
            yield action, {**statement, "Action": action}, [*statements[:number], rest, *statements[number + 1 :]]


def _resource(production: Synthesised, arn: Any) -> str:
    """Return the ARN of a table, index or queue as the in-process system names it (`portfolios/index/by_user`)."""
    name = next(production.names_in(arn), "")
    index = re.search(r"/index/\w+", json.dumps(arn))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower() + (index[0] if index else "")


def _uses_of_lambda(production: Synthesised) -> set[Call]:
    """Return the grants by which Lambda sends what a function could not process to a failure queue."""
    names = {
        logical_id: function["Properties"]["Handler"].split(".")[1]
        for logical_id, function in production.service_template.find_resources("AWS::Lambda::Function").items()
    }
    return {
        Call(names[each["FunctionName"]["Ref"]], "sqs:SendMessage", _resource(production, destination))
        for kind in ("AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig")
        for each in (found["Properties"] for found in production.service_template.find_resources(kind).values())
        for destination in _destinations(each)
    }


def _destinations(properties: Any) -> Iterator[Any]:
    if on_failure := properties.get("DestinationConfig", {}).get("OnFailure"):
        yield on_failure["Destination"]
