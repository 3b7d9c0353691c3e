"""Locks that repair themselves, and portfolios with negative cash, through the real functions."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.support.balancing import OPERATOR
from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.moto_state import lose_messages, stored_items
from tests.support.system import TABLE, System, authorized
from trimtab.contracts.events import unpack_events
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.rebalancing.model import RebalanceStatus
from trimtab.runtime.dynamodb.client import dynamodb_client

RUN = timedelta(seconds=21_600)


@pytest.fixture
def market(system: System) -> Iterator[ManyPortfolios]:
    """A market of two symbols at 100 with a watched portfolio of half A and half B."""
    with many_portfolios(system, {"A": Decimal(100), "B": Decimal(100)}) as market:
        market.join({"A": 50, "B": 50}, Policy(), Decimal(10_000), Decimal(50))
        market.settle()
        yield market


def home(market: ManyPortfolios) -> str:
    """Return the path of the portfolio."""
    return f"/portfolios/{market.portfolios[0].portfolio_id}"


def newest_status(market: ManyPortfolios) -> str:
    """Return the status of the newest rebalance."""
    rebalance = market.newest()
    assert rebalance is not None
    return rebalance.status.value


def test_a_planned_rebalance_whose_messages_are_lost_is_cancelled_at_its_deadline(market: ManyPortfolios) -> None:
    market.quote({"A": Decimal(140), "B": Decimal(100)})
    market.system.process_checks()
    lose_messages()
    planned_at, stuck = market.now, 0
    while market.now < planned_at + RUN:
        swept = market.system.run_sweeper()
        stuck += swept["stuck"]
        lose_messages()
        assert (swept["cancelled"], newest_status(market)) == (0, "PLANNED")
        market.now += timedelta(minutes=30)
    assert stuck == 1, "an operator was told before"
    assert market.system.run_sweeper()["cancelled"] == 1
    assert (newest_status(market), market.portfolio().lock) == ("CANCELLED", None)
    assert market.system.run_sweeper()["cancelled"] == 0
    market.quote({"A": Decimal(141), "B": Decimal(100)})
    market.settle()
    assert newest_status(market) == "COMPLETED"


def test_a_worker_that_starts_before_the_sweeper_keeps_its_rebalance(market: ManyPortfolios) -> None:
    market.quote({"A": Decimal(140), "B": Decimal(100)})
    market.settle()
    market.now += RUN
    assert (market.system.run_sweeper()["cancelled"], newest_status(market)) == (0, "COMPLETED")


def overdrawn(market: ManyPortfolios, cash: str) -> None:
    """Store the portfolio as STALE with a lock of its newest rebalance, and resolve it with this cash."""
    rebalance = market.newest()
    assert rebalance is not None
    store = PortfolioStore(dynamodb_client(), TABLE)
    stale = (
        market.portfolio()
        .take_lock(Lock(rebalance.rebalance_id, "it is being rebalanced"), market.now)
        .mark_stale("fees", market.now)
    )
    store.put(replace(stale, version=stale.version - 1))
    item = replace(rebalance, status=RebalanceStatus.STALE, version=rebalance.version + 1)
    store.put(item)
    body = {"reason": "The account is overdrawn.", "cash": cash}
    answer = market.system.http("POST", f"{home(market)}/resolve", body, authorizer=OPERATOR)
    assert (answer.status, answer.json["cash"]) == (200, cash), answer.text


def test_an_overdrawn_portfolio_is_resolved_with_its_true_cash_and_valued_everywhere(market: ManyPortfolios) -> None:
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    overdrawn(market, "-50.76")
    market.settle()
    code, details = market.last_check()
    assert (code, details["cash"]) == ("within_band", "-50.76")
    for path in ("", "/holdings", "/cumulative-returns", "/checks/last"):
        assert market.system.http("GET", home(market) + path).status == 200, path
    drift = market.system.http("GET", f"{home(market)}/drift", authorizer=authorized(scope="analytics:read"))
    assert drift.status == 200, drift.text
    withdrawal = {"ref_id": "w", "type": "withdrawal", "amount": "1"}
    assert market.system.http("POST", f"{home(market)}/cash", withdrawal).status == 422
    deposit = {"ref_id": "d", "type": "deposit", "amount": "10"}
    assert market.system.http("POST", f"{home(market)}/cash", deposit).status == 201
    assert market.portfolio().cash == Decimal("-40.76")
    market.settle()
    market.wave({"A": Decimal(250), "B": Decimal(100)})
    assert newest_status(market) == "COMPLETED"
    assert (market.portfolio().cash or Decimal(-1)) >= 0, "sells bring the cash back"


def test_a_stale_alert_names_the_rebalance_and_the_remedy(market: ManyPortfolios) -> None:
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    rebalance = market.newest()
    assert rebalance is not None
    stale = (
        market.portfolio()
        .take_lock(Lock(rebalance.rebalance_id, "it is being rebalanced"), market.now)
        .mark_stale("fees", market.now)
    )
    PortfolioStore(dynamodb_client(), TABLE).put(replace(stale, version=stale.version - 1))
    (event,) = (
        event
        for item in stored_items()
        if item["sk"]["S"] == "PORTFOLIO" and "S" in item.get("events", {})
        for event in unpack_events(item["events"]["S"])
    )
    assert (event.type, event.data["rebalance_id"]) == ("portfolio.stale", rebalance.rebalance_id)
    assert f"POST {home(market)}/resolve" in event.data["remedy"]
