"""Reports that the operator redrives: the tenant and the time of the original message count, and nobody forges them."""

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from tests.support.system import System, forget_cached
from trimtab.kernel.clock import parse_time
from trimtab.runtime.sqs.worker import FIRST_SENT_AT, ORIGINAL_SENDER, REDRIVER

from .test_direct_injection import path_of, record

FIRST_SENT = "2026-01-05T15:00:00Z"
FIRST_MILLISECONDS = str(int(parse_time(FIRST_SENT).timestamp() * 1000))
OPERATOR, PROVIDER = "AROAOPERATOR:trimtab", "AROAPROVIDER:feed"
SENDERS = {"AROAOPERATOR": [REDRIVER], "AROAPROVIDER": ["demo"], "AROAOTHER": ["acme"], "AROAFUNCTION": ["*"]}


@pytest.fixture
def admitted(system: System) -> Callable[..., bool]:
    """A function that delivers the report of `demo` and returns whether the worker admitted the message."""
    system.portfolio()

    def deliver(sender: str, **attributes: str) -> bool:
        message = record()
        message["attributes"]["SenderId"] = sender
        message["messageAttributes"] = {
            name: {"stringValue": value, "dataType": "String"} for name, value in attributes.items()
        }
        with mock.patch.dict("os.environ", SENDER_TENANTS=json.dumps(SENDERS)):
            forget_cached()
            return not system.invoke_worker(message)

    return deliver


def redriven(sender: str = PROVIDER) -> dict[str, str]:
    """Return the attributes of a message of this sender that the operator's command redrove."""
    return {ORIGINAL_SENDER: sender, FIRST_SENT_AT: FIRST_MILLISECONDS}


def test_a_redriven_report_is_admitted_for_the_tenant_of_its_original_sender(
    system: System, admitted: Callable[..., bool]
) -> None:
    assert admitted(OPERATOR, **redriven())

    done = system.http("GET", path_of()).json
    assert (done["status"], parse_time(done["as_of"])) == ("COMPLETED", parse_time(FIRST_SENT))


def test_a_redriven_report_of_a_function_of_trimtab_is_admitted(admitted: Callable[..., bool]) -> None:
    assert admitted(OPERATOR, **redriven("AROAFUNCTION:api"))


@pytest.mark.parametrize(
    "attributes",
    [
        redriven("AROAOTHER:feed"),
        redriven("AROAUNKNOWN:feed"),
        redriven(OPERATOR),
        redriven(""),
        redriven("demo"),
        redriven(REDRIVER),
        {},
    ],
    ids=["sender of another tenant", "unknown sender", "the operator", "empty", "a tenant", "the mark", "no attribute"],
)
def test_a_redriven_report_is_refused_where_the_original_sender_may_not_speak_for_the_tenant(
    admitted: Callable[..., bool], attributes: dict[str, str]
) -> None:
    assert not admitted(OPERATOR, **attributes)


@pytest.mark.parametrize("sender", ["AROAOTHER:feed", "AROAUNKNOWN:feed", "x:AROAOPERATOR", "AROAOPERATORX:s", ""])
def test_nobody_but_the_operators_role_can_name_an_original_sender(admitted: Callable[..., bool], sender: str) -> None:
    assert not admitted(sender, **redriven())
    assert not admitted(sender, **redriven("AROAFUNCTION:api"))


def test_a_provider_cannot_date_a_report_back_with_the_attributes_of_a_redrive(
    system: System, admitted: Callable[..., Any]
) -> None:
    assert admitted(PROVIDER, **redriven("AROAFUNCTION:api"))

    assert parse_time(system.http("GET", path_of()).json["as_of"]) > parse_time(FIRST_SENT)
