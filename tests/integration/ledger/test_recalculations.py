"""Trades that need more trades folded than a client can wait for: 202, a locked portfolio, and a worker."""

from typing import Any
from unittest import mock

import pytest
from jsonschema import Draft202012Validator

from functions.balancing_on_sweep import handler as sweep_function
from tests.support.system import System, payload
from trimtab.kernel.clock import parse_time
from trimtab.portfolios.ledger import service
from trimtab.portfolios.portfolio.pending_jobs import RESEND_AFTER
from trimtab.runtime.dynamodb.outbox import events_of


@pytest.fixture
def path(system: System) -> Any:
    """A portfolio with three trades of a symbol, with the limit of a synchronous fold lowered to two."""
    path = f"/portfolios/{system.portfolio()['portfolio_id']}"
    for day, (side, quantity) in enumerate([("BUY", "10"), ("SELL", "4"), ("BUY", "2")], 1):
        assert record(system, path, f"t{day}", side, quantity, day).status == 201
    with mock.patch.object(service, "MAX_FOLD", 2):
        yield path


def record(system: System, path: str, ref_id: str, side: str, quantity: str, day: int) -> Any:
    """Record a trade of AAPL at a price of 10, executed on a day of January 2026."""
    body = {"ref_id": ref_id, "side": side, "security_type": "stock", "symbol": "AAPL", "quantity": quantity}
    body |= {"price": "10", "executed_at": f"2026-01-{day:02}T12:00:00Z"}
    return system.http("POST", f"{path}/trades", body)


def quantity(system: System, path: str) -> str:
    """Return the quantity of the only holding."""
    (holding,) = system.http("GET", f"{path}/holdings").json["items"]
    return str(holding["quantity"])


def test_a_correction_among_many_trades_is_recorded_by_a_worker_while_the_portfolio_is_locked(
    system: System, path: str
) -> None:
    asked = system.http("PATCH", f"{path}/trades/t1", {"quantity": "20", "amount": "200"})
    assert (asked.status, asked.json["status"], asked.headers["Retry-After"]) == (202, "REQUESTED", "5")
    assert quantity(system, path) == "8.000000000"
    locked = record(system, path, "t4", "BUY", "1", 9)
    assert (locked.status, locked.json["type"]) == (409, "urn:trimtab:problem:locked")
    assert int(locked.headers["Retry-After"]) > 0

    assert system.process_recalculations() == 1
    assert system.http("GET", asked.json["links"]["self"]).json["status"] == "COMPLETED"
    assert quantity(system, path) == "18.000000000"
    assert record(system, path, "t4", "BUY", "1", 9).status == 201


def test_a_back_dated_trade_that_sells_too_much_is_rejected_with_a_reason_and_unlocks_the_portfolio(
    system: System, path: str
) -> None:
    asked = record(system, path, "late", "SELL", "9", 2)
    assert asked.status == 202, asked.text
    assert system.process_recalculations() == 1
    job = system.http("GET", asked.json["links"]["self"]).json
    assert (job["status"], "late takes 9 AAPL, but the portfolio holds 6" in job["reason"]) == ("REJECTED", True)
    assert quantity(system, path) == "8.000000000"
    assert record(system, path, "t4", "BUY", "1", 9).status == 201


def test_a_lost_message_is_resent_and_a_repeated_one_has_no_second_effect(system: System, path: str) -> None:
    asked = record(system, path, "late", "BUY", "5", 1)
    later = parse_time(asked.json["created_at"]) + RESEND_AFTER
    with mock.patch.object(sweep_function, "utc_now", return_value=later):
        assert system.run_sweeper() == {"resent": 1, "stuck": 0, "cancelled": 0, "due": 0}
    assert system.process_recalculations() == 2
    assert quantity(system, path) == "13.000000000"
    versions = [item["version"]["N"] for item in system.items() if item["sk"]["S"] == "TRADE#C#late"]
    assert versions == ["1"]


def test_a_recalculation_that_no_worker_completes_ends_in_an_event_for_operators(system: System, path: str) -> None:
    asked = record(system, path, "late", "BUY", "5", 1)
    now = parse_time(asked.json["created_at"])
    swept = []
    with mock.patch.object(sweep_function, "utc_now", side_effect=lambda: now):
        for resend in range(4):
            now += RESEND_AFTER * (1 << resend)
            swept.append(system.run_sweeper())
    assert swept == [{"resent": 1, "stuck": 0, "cancelled": 0, "due": 0}] * 3 + [
        {"resent": 0, "stuck": 1, "cancelled": 0, "due": 0}
    ]
    (job,) = [item for item in system.items() if item["sk"]["S"].startswith("JOB#")]
    (event,) = events_of({"dynamodb": {"NewImage": job}})
    Draft202012Validator(payload("schemas/recalculation.stuck.json")).validate(event)


def test_the_newest_trade_of_a_symbol_needs_no_worker_however_many_trades_there_are(system: System, path: str) -> None:
    assert record(system, path, "t4", "BUY", "1", 9).status == 201
    assert quantity(system, path) == "9.000000000"
