"""Checks of the payloads for the functions of balancing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from tests.support.moto_state import waiting
from tests.support.payloads import http, run
from tests.support.system import TABLE, System
from trimtab.portfolios.portfolio.brake import Quarantine
from trimtab.portfolios.portfolio.model import portfolio_id_of
from trimtab.portfolios.portfolio.policy import Restriction
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.runtime.dynamodb.client import dynamodb_client

PORTFOLIO = ("demo", portfolio_id_of("demo", "1", "default"))


def moves_cash(system: System) -> None:
    """Create the portfolio with the deposit of a payload."""
    system.portfolio()
    assert http("portfolios_api/move_cash.json", 201)["amount"] == "2500.00"


def runs_a_rebalance(system: System) -> None:
    system.portfolio()
    accepted = http("balancing_api/run_rebalance.json", 202)
    assert accepted["request_id"] == "run-2026-11-21"
    assert system.process_checks() == 1
    found = system.http("GET", f"/portfolios/{accepted['portfolio_id']}/rebalances").json["items"]
    assert [(rebalance["status"], rebalance["trigger"], rebalance["reason"]["code"]) for rebalance in found] == [
        ("NO_ACTION", "manual", "no_quote")
    ]


def answers_a_dry_run(system: System) -> None:
    system.portfolio()
    answered = http("balancing_api/dry_run.json", 200)
    assert (answered["mode"], answered["reason"]["code"], answered["orders"]) == ("full", "no_quote", [])
    assert waiting(system.checks_url) == []


def pays_a_withdrawal(system: System) -> None:
    moves_cash(system)
    accepted = http("balancing_api/withdraw.json", 202)
    assert system.process_checks() == 1
    paid = system.http("GET", accepted["links"]["self"]).json
    assert (paid["status"], paid["withdrawal"]["amount"], paid["withdrawal"]["is_paid"]) == (
        "COMPLETED",
        "200.00",
        True,
    )
    assert http("portfolios_api/read_holdings.json", 200)["cash"] == "2300.00"


def reads_the_triggers(system: System) -> None:
    system.portfolio()
    http("portfolios_api/record_trade.json", 201)
    read = http("balancing_api/read_triggers.json", 200)
    assert (read["watched"], read["reason"]["code"]) == (True, "no_quote")
    assert {trigger["limit"] for trigger in read["triggers"]} == {"no_quote"}


def lifts_the_quarantine(system: System) -> None:
    system.portfolio()
    store, (tenant_id, portfolio_id) = PortfolioStore(dynamodb_client(), TABLE), PORTFOLIO
    portfolio = store.portfolio(tenant_id, portfolio_id)
    assert portfolio is not None
    refused_at = datetime.now(UTC)
    quarantine = Quarantine(Restriction.NO_BUY, "not tradable", "r-1", refused_at, refused_at + timedelta(days=30))
    isolated = portfolio.isolate({"AAPL": quarantine}, refused_at)
    store.put(replace(isolated, version=isolated.version + 1))
    assert http("balancing_api/lift_quarantine.json", 204) == ""
    lifted = store.portfolio(tenant_id, portfolio_id)
    assert lifted is not None
    assert lifted.brake.quarantine == {}


def a_check_is_asked_for(system: System) -> None:
    assert run("balancing_on_commit/stream.json") == {"batchItemFailures": []}
    assert len(waiting(system.checks_url)) == 1


def is_checked(system: System) -> None:
    system.portfolio()
    assert run("balancing_on_check_requested/crossed.json") == {"batchItemFailures": []}


def is_swept(system: System) -> None:
    system.portfolio()
    assert run("balancing_on_sweep/schedule.json") == {"resent": 0, "stuck": 0, "cancelled": 0, "due": 0}


EXPECTED: dict[str, Callable[[System], Any]] = {
    "balancing_api/dry_run.json": answers_a_dry_run,
    "balancing_api/halt.json": lambda _: http("balancing_api/halt.json", 200)["halts"][0]["reason"],
    "balancing_api/lift_quarantine.json": lifts_the_quarantine,
    "balancing_api/read_triggers.json": reads_the_triggers,
    "balancing_api/run_rebalance.json": runs_a_rebalance,
    "balancing_api/withdraw.json": pays_a_withdrawal,
    "balancing_on_check_requested/crossed.json": is_checked,
    "balancing_on_commit/stream.json": a_check_is_asked_for,
    "balancing_on_sweep/schedule.json": is_swept,
}
