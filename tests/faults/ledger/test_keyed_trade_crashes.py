"""A crash at any call of a request with an Idempotency-Key: the repeated request has its effect once."""

from collections.abc import Iterator

import pytest

from tests.faults.harness import survive
from tests.support.faults import CrashAfter, CrashBefore, Fault, Faults, injecting
from tests.support.moto_state import clear_all
from tests.support.system import Answer, System
from tests.support.trading import Account, account, trade

CALLS = ["PutItem", "BatchGetItem", "TransactWriteItems"]
"""The key is bound; the portfolio, its holdings and the trade are read; trade and holdings are written."""


@pytest.fixture
def faults(system: System) -> Iterator[Faults]:
    """Faults injected into the AWS calls of the system."""
    with injecting() as injected:
        yield injected


def record(mine: Account, ref_id: str = "t1") -> Answer:
    """Send a trade with the key `k`."""
    body = trade(ref_id, "BUY", 1, 10, 1)
    return mine.system.http("POST", f"{mine.home}/trades", body, headers={"Idempotency-Key": "k"})


def test_the_key_is_bound_before_anything_else_is_stored(system: System, faults: Faults) -> None:
    mine = account(system)
    faults.set()
    assert record(mine).status == 201
    assert faults.operations == CALLS


@pytest.mark.parametrize("crash", [CrashBefore, CrashAfter])
@pytest.mark.parametrize("call", range(len(CALLS)))
def test_a_repeated_request_records_the_trade_once_after_a_crash(
    system: System, faults: Faults, crash: type[Fault], call: int
) -> None:
    clear_all()
    mine = account(system)
    faults.set(crash(call))
    assert survive(lambda: record(mine)) is None
    assert len(faults.met) == 1
    faults.clear()
    answers = [record(mine), record(mine)]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].json == answers[1].json
    assert [each["ref_id"] for each in mine.system.http("GET", f"{mine.home}/trades").json["items"]] == ["t1"]
    assert record(mine, "t2").status == 409
