"""Functions without a grant: the local AWS refuses the call and names the action."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from infra.config import ROOT
from infra.environments import load
from tests.e2e.conftest import ENFORCES_IAM, System

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not ENFORCES_IAM, reason="the local AWS enforces no roles: run `make e2e IAM=1`"),
]
NOT_DEPLOYED = {"notifications_on_alert_published"}
"""Functions that no local environment deploys: operators have no webhook there."""
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
_REFUSAL = re.compile(r"not authorized to perform: (\w+:\w+)")


@pytest.mark.assurance("Permissions: a grant is missing in the role of a function", environment="TRIMTAB_IAM=1")
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in NOT_DEPLOYED])
def test_a_function_without_one_grant_fails_with_a_refusal_of_that_action(system: System, name: str) -> None:
    """Take away the action of the first call for a payload of the function."""
    function = f"{load(system.cloud_name).prefix}-{name.replace('_', '-')}"
    with _role_without(system, function, None):
        refused = ((event, action) for event in _events(system, name) for action in _refusals(system, function, event))
        event, action = next(refused, ("", ""))
    assert action, "no payload makes a call of AWS"

    with _role_without(system, function, action):
        assert set(_refusals(system, function, event)) == {action}


def _events(system: System, name: str) -> Iterator[str]:
    """Yield the payloads of a function, with a token where a payload has one."""
    for path in sorted((ROOT / "events" / name).glob("*.json")):
        token = system.issuer.token()
        yield re.sub(r"Bearer eyJ[\w.-]+|token-of-the-test", partial(_with_token, token), path.read_text())


def _with_token(token: str, found: re.Match[str]) -> str:
    return f"Bearer {token}" if found[0].startswith("Bearer") else token


@contextmanager
def _role_without(system: System, function: str, action: str | None) -> Iterator[None]:
    """Take an action, or every action, from the role of a function."""
    iam, role = system.aws("iam"), _role(system, function)
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    try:
        for name, policy in policies.items():
            left = list(_statements_without(policy["Statement"], action))
            _put(iam, role, name, {**policy, "Statement": left})
        yield
    finally:
        for name, policy in policies.items():
            _put(iam, role, name, policy)


def _statements_without(statements: Sequence[Any], action: str | None) -> Iterator[Any]:
    for statement in statements:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if left := [each for each in actions if action is not None and each != action]:
            yield {**statement, "Action": left}


def _put(iam: Any, role: str, name: str, policy: Any) -> None:
    if policy["Statement"]:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
    else:
        iam.delete_role_policy(RoleName=role, PolicyName=name)


def _role(system: System, function: str) -> str:
    found = system.aws("lambda").get_function_configuration(FunctionName=function)
    return str(found["Role"].rpartition("/")[2])


def _refusals(system: System, function: str, event: str) -> list[str]:
    """Return the refused actions, first ones first, in log and response of a new worker, which has cached nothing."""
    functions = system.aws("lambda")
    unchanged = functions.get_function_configuration(FunctionName=function)["Timeout"]
    functions.update_function_configuration(FunctionName=function, Timeout=unchanged)  # ends the workers
    earlier = _streams(system, function)
    response = functions.invoke(FunctionName=function, Payload=event.encode())["Payload"].read().decode()
    return _REFUSAL.findall(_log(system, function, _streams(system, function) - earlier) + response)


def _streams(system: System, function: str) -> set[str]:
    """Return the log streams of a function; the local AWS begins one for each invocation."""
    pages = system.aws("logs").get_paginator("describe_log_streams").paginate(logGroupName=f"/aws/lambda/{function}")
    return {stream["logStreamName"] for page in pages for stream in page["logStreams"]}


def _log(system: System, function: str, streams: set[str]) -> str:
    if not streams:
        return ""
    pages = (
        system.aws("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{function}", logStreamNames=sorted(streams))
    )
    return "\n".join(event["message"] for page in pages for event in page["events"])
