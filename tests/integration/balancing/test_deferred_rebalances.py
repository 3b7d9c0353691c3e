"""Deferred rebalances: after a lock, a halt, a cooldown or a change, and on the days of the calendar rule."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest

from tests.support.balancing import OPERATOR
from tests.support.many_portfolios import ManyPortfolios
from tests.support.moto_state import take_messages
from tests.support.system import TABLE, forget_cached
from tests.support.trading import FEED
from tests.support.two_symbols import START, joined, moved
from trimtab.portfolios.execution import halts
from trimtab.portfolios.execution.halts import Halt, HaltStore
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import CalendarRule, Frequency, Mode, OnDeposit, Policy
from trimtab.runtime.dynamodb.batches import batch_get
from trimtab.runtime.dynamodb.client import dynamodb_client

DAY = timedelta(days=1)


def swept(market: ManyPortfolios) -> int:
    """Run the sweeper and settle; return the number of portfolios found due."""
    due = market.system.run_sweeper()["due"]
    market.settle()
    return due


def deposit(market: ManyPortfolios, amount: Any) -> None:
    """Record a deposit and settle."""
    body = {"ref_id": "more", "type": "deposit", "amount": amount}
    answer = market.system.http("POST", f"/portfolios/{market.portfolios[0].portfolio_id}/cash", body)
    assert answer.status == 201, answer.text
    market.settle()


def delivered_again(market: ManyPortfolios) -> None:
    """Deliver the first quotes a second time and settle."""
    rows = [{"symbol": symbol, "price": "100", "as_of": market.now.isoformat()} for symbol in START]
    assert market.system.http("POST", "/quotes", {"quotes": rows}, authorizer=FEED).status == 202
    market.system.process_quotes()
    market.settle()


def runs(market: ManyPortfolios) -> list[tuple[str, str]]:
    """Return trigger and status of each rebalance, oldest first."""
    path = f"/portfolios/{market.portfolios[0].portfolio_id}/rebalances"
    items = market.system.http("GET", path).json["items"]
    return [(rebalance["trigger"], rebalance["status"]) for rebalance in reversed(items)]


def test_the_calendar_rule_rebalances_within_the_band(market: ManyPortfolios) -> None:
    joined(market, Policy(calendar=CalendarRule(Frequency.MONTHLY, 1)))
    market.now = datetime(2026, 12, 1, 15, 29, tzinfo=UTC)
    moved(market, A=102, B=100)
    assert (swept(market), runs(market)) == (0, [])
    market.now += timedelta(minutes=1)
    deposit(market, 5)
    assert (swept(market), runs(market)) == (1, [("schedule", "COMPLETED")])
    assert (swept(market), market.portfolio().watch_state.next_at) == (0, datetime(2026, 12, 31, 15, 30, tzinfo=UTC))


def test_a_rebalance_refused_by_a_cooldown_happens_when_the_cooldown_ends(market: ManyPortfolios) -> None:
    joined(market, Policy(cooldown_seconds=86_400))
    moved(market, A=140)
    ends = market.now + DAY
    moved(market, A=200)
    assert market.last_check()[0] == "cooldown"
    deposit(market, 5)  # changes nothing of it
    assert (market.last_check()[0], market.portfolio().watch_state.next_at) == ("cooldown", ends)
    market.now = ends - timedelta(seconds=2)
    moved(market, A="200.1", B="100.1")
    assert (swept(market), len(runs(market))) == (0, 1)
    market.now = ends
    assert (swept(market), runs(market)) == (1, [("price", "COMPLETED")] * 2)
    assert market.last_check()[0] == "within_band"


def test_an_old_quote_counts_as_no_quote(market: ManyPortfolios) -> None:
    market.join({"A": 50, "B": 50}, Policy(), Decimal(10_000), Decimal(0))
    market.settle()
    market.now += DAY + timedelta(seconds=1)
    moved(market, B=140)
    assert (market.last_check()[1]["limits"], runs(market)) == ({"A": "no_quote"}, [])
    moved(market, A=100)
    assert runs(market) == [("price", "COMPLETED")]


@pytest.mark.parametrize("is_late", [False, True])
def test_a_price_that_crosses_during_a_rebalance_is_checked_afterwards(market: ManyPortfolios, is_late: bool) -> None:
    joined(market)
    market.quote({"A": Decimal(140)})
    market.system.process_checks()
    market.quote({"B": Decimal(40)})
    late = take_messages(market.system.checks_url) if is_late else []
    market.system.process_checks()
    assert is_late or market.last_check()[0] == "in_progress"
    market.settle()
    for body, _ in late:
        boto3.client("sqs").send_message(QueueUrl=market.system.checks_url, MessageBody=body)
    market.settle()
    assert runs(market) == [("price", "COMPLETED")] * 2
    assert market.last_check()[0] == "within_band"


def test_a_price_that_crosses_during_a_rebalance_respects_the_cooldown_afterwards(market: ManyPortfolios) -> None:
    joined(market, Policy(cooldown_seconds=86_400))
    market.quote({"A": Decimal(140)})
    market.system.process_checks()
    market.quote({"B": Decimal(40)})
    market.system.process_checks()
    market.settle()
    assert (runs(market), market.last_check()[0]) == ([("price", "COMPLETED")], "cooldown")


def test_a_rebalance_without_trades_is_not_repeated_at_once(market: ManyPortfolios) -> None:
    joined(market)
    market.quote({"A": Decimal(140)})
    market.system.process_checks()
    market.quote({"A": Decimal("140.5")})
    market.system.process_checks()
    newest = market.newest()
    assert newest is not None
    home = f"/portfolios/{newest.portfolio_id}/rebalances"
    assert market.system.http("POST", f"{home}/{newest.rebalance_id}/cancel").json["status"] == "CANCELLED"
    market.settle()
    assert (runs(market), market.last_check()[0]) == ([("price", "CANCELLED")], "awaiting_quote")
    moved(market, A="141.8")
    assert len(runs(market)) == 1
    moved(market, A=142)
    assert runs(market)[1:] == [("price", "COMPLETED")]


def test_a_rebalance_refused_by_a_halt_happens_after_the_halt(market: ManyPortfolios) -> None:
    joined(market)
    halt = {"scope": "tenant", "reason": "The feed looks wrong."}
    assert market.system.http("PUT", "/halt", halt, authorizer=OPERATOR).status == 200
    moved(market, A=140)
    assert market.last_check()[0] == "halted"
    market.now += timedelta(minutes=5)
    assert (swept(market), market.last_check()[0], runs(market)) == (1, "halted", [])
    assert market.system.http("DELETE", "/halt", authorizer=OPERATOR).status == 204
    assert swept(market) == 0
    market.now += timedelta(minutes=5)
    assert (swept(market), runs(market)) == (1, [("price", "COMPLETED")])


def test_after_a_deposit_only_a_new_quote_rebalances(market: ManyPortfolios) -> None:
    joined(market)
    deposit(market, 5_000)
    assert market.last_check()[0] == "awaiting_quote"
    delivered_again(market)
    assert runs(market) == []
    moved(market, A=100)
    assert runs(market) == [("price", "COMPLETED")]


def test_of_two_concurrent_operators_the_last_one_wins(market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [Halt(None, "Stop.", "other", market.now), Halt(None, "Stop!", "other", market.now)]
    switches = HaltStore(dynamodb_client(), TABLE)

    def read(*arguments: Any, **options: Any) -> Any:
        found = batch_get(*arguments, **options)
        if others:
            switches.switch_on(others.pop())
        return found

    monkeypatch.setattr(halts, "batch_get", read)
    switches.switch_on(Halt(None, "The feed looks wrong.", "me", market.now))
    assert [(halt.by, halt.reason) for halt in switches.active("demo")] == [("me", "The feed looks wrong.")]


# Deposits -------------------------------------------------------------------------------------------------------------

INVESTING = Policy(on_deposit=OnDeposit.INVEST)


def test_a_deposit_is_invested_at_once_where_the_policy_says_so(market: ManyPortfolios) -> None:
    joined(market, INVESTING)
    deposit(market, 200)
    assert runs(market) == [("deposit", "COMPLETED")]
    newest = market.newest()
    assert newest is not None
    assert newest.execution is not None
    assert {order.side for order in newest.execution.orders} == {Side.BUY}
    assert newest.mode is Mode.INVEST_CASH
    assert market.last_check()[0] == "within_band"
    assert not market.portfolio().watch_state.is_deposit_due


def test_the_first_deposit_of_an_empty_portfolio_buys_the_target(market: ManyPortfolios) -> None:
    market.join({"A": 50, "B": 50}, INVESTING, Decimal(0), Decimal(0))
    deposit(market, 1_000)
    assert runs(market) == [("deposit", "COMPLETED")]
    assert {symbol for symbol, held in market.portfolio().holdings.items() if held.quantity} == {"A", "B"}


def test_a_deposit_during_a_rebalance_is_invested_afterwards(market: ManyPortfolios) -> None:
    joined(market, INVESTING)
    market.quote({"A": Decimal(140)})
    market.system.process_checks()
    deposit(market, 1_000)
    assert runs(market) == [("price", "COMPLETED"), ("deposit", "COMPLETED")]


def test_a_deposit_during_a_halt_is_invested_after_the_halt(market: ManyPortfolios) -> None:
    joined(market, INVESTING)
    halt = {"scope": "tenant", "reason": "The feed looks wrong."}
    assert market.system.http("PUT", "/halt", halt, authorizer=OPERATOR).status == 200
    deposit(market, 200)
    assert (market.last_check()[0], runs(market)) == ("halted", [])
    assert market.system.http("DELETE", "/halt", authorizer=OPERATOR).status == 204
    market.now += timedelta(minutes=5)
    assert (swept(market), runs(market)) == (1, [("deposit", "COMPLETED")])


# Sessions -------------------------------------------------------------------------------------------------------------

NIGHT = datetime(2026, 12, 1, 3, tzinfo=UTC)
OPENING = datetime(2026, 12, 1, 14, 30, tzinfo=UTC)


@pytest.fixture
def night(market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch) -> ManyPortfolios:
    """The market at night, with a broker that trades in the sessions of New York only."""
    for symbol in START:
        body = {"name": symbol, "exchange": "XNYS"}
        assert market.system.http("PUT", f"/assets/{symbol}", body, authorizer=FEED).status == 200
    joined(market)
    monkeypatch.setenv("PAPER_SESSIONS", "true")
    forget_cached()
    market.now = NIGHT
    return market


def test_a_price_out_of_session_is_traded_at_the_open(night: ManyPortfolios) -> None:
    moved(night, A=140, B=100)
    assert (runs(night), night.last_check()[0]) == ([], "market_closed")
    assert night.last_check()[1]["until"] == "2026-12-01T14:30:00.000000Z"
    home = f"/portfolios/{night.portfolios[0].portfolio_id}"
    assert night.system.http("GET", home).json["next_check_at"] == "2026-12-01T14:30:00.000000Z"
    night.now = OPENING - timedelta(seconds=1)
    assert swept(night) == 0
    night.now = OPENING
    assert (swept(night), runs(night)) == (1, [])
    code, details = night.last_check()
    assert (code, details["missing"], details["until"]) == ("no_quote", ["A", "B"], "2026-12-01T14:35:00.000000Z")
    moved(night, A=141)
    assert (runs(night), night.last_check()[1]["missing"]) == ([], ["B"])
    moved(night, B=100)
    assert runs(night) == [("price", "COMPLETED")]
    prices = night.system.http("GET", f"{home}/rebalances").json["items"][0]["reason"]["details"]["prices"]
    assert prices == {"A": "141", "B": "100"}


def test_a_symbol_without_a_quote_five_minutes_after_the_open_is_frozen_and_the_rest_is_balanced(
    night: ManyPortfolios,
) -> None:
    night.system.http("PUT", "/assets/C", {"name": "C", "exchange": "XNYS"}, authorizer=FEED)
    night.quote({"C": Decimal(100)})
    night.join({"A": 40, "B": 40, "C": 20}, Policy(), Decimal(10_000), Decimal(0))
    night.settle()
    moved(night, A=140, B=100)
    night.now = OPENING
    swept(night)
    moved(night, A=140, B=100)
    assert (night.last_check(1)[1]["missing"], night.newest(1)) == (["C"], None)
    night.now = OPENING + timedelta(minutes=5)
    swept(night)
    rebalance = night.newest(1)
    assert rebalance is not None
    assert rebalance.reason is not None
    assert (rebalance.status, rebalance.reason.details["limits"]) == ("COMPLETED", {"C": "no_quote"})


def test_a_price_that_moves_back_before_the_first_quote_of_the_session_trades_nothing(night: ManyPortfolios) -> None:
    moved(night, A=140, B=100)
    night.now = OPENING
    swept(night)
    moved(night, A=100, B=100)
    assert (runs(night), night.last_check()[0]) == ([], "within_band")
    moved(night, A=140)
    assert runs(night) == [("price", "COMPLETED")]


def test_a_rebalance_requested_out_of_session_waits_for_the_open_and_says_so(night: ManyPortfolios) -> None:
    moved(night, A=102, B=100)
    home = f"/portfolios/{night.portfolios[0].portfolio_id}/rebalances"
    asked = night.system.http("POST", home, {}, headers={"Idempotency-Key": "k"}).json["links"]["self"]
    night.settle()
    waiting = night.system.http("GET", asked).json
    assert (waiting["status"], waiting["reason"]["code"]) == ("REQUESTED", "market_closed")
    assert waiting["decide_at"] == "2026-12-01T14:30:00.000000Z"
    night.now = OPENING - timedelta(seconds=1)
    assert night.system.run_sweeper()["resent"] == 0
    night.now = OPENING
    assert night.system.run_sweeper()["resent"] == 1
    night.settle()
    waiting = night.system.http("GET", asked).json
    assert (waiting["status"], waiting["reason"]["code"]) == ("REQUESTED", "no_quote")
    moved(night, A=102, B=100)
    night.now = OPENING + timedelta(minutes=5)
    assert night.system.run_sweeper()["resent"] == 1
    night.settle()
    done = night.system.http("GET", asked).json
    assert (done["status"], done["decide_at"]) == ("COMPLETED", None)


def test_a_rebalance_that_waits_for_the_open_can_be_cancelled(night: ManyPortfolios) -> None:
    moved(night, A=102, B=100)
    home = f"/portfolios/{night.portfolios[0].portfolio_id}/rebalances"
    asked = night.system.http("POST", home, {}, headers={"Idempotency-Key": "k"}).json["links"]["self"]
    night.settle()
    assert night.system.http("POST", f"{asked}/cancel").json["status"] == "CANCELLED"
    night.now = OPENING + timedelta(minutes=5)
    assert night.system.run_sweeper()["resent"] == 0
