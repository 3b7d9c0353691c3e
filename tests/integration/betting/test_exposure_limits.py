"""The limit on the exposure of a user, gross or in the worst case: hedges, cancellations, concurrent clients."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
import pytest

from tests.support.betting import Bettor, betting_store, settings, stored_orders
from tests.support.moto_state import commits, fast_transactions
from tests.support.system import BETTING_TABLE, System
from tests.support.trading import refused
from trimtab.betting.domain.exposure_limits import LimitedExposure
from trimtab.betting.domain.keys import position_key, totals_key
from trimtab.betting.domain.orders import NewOrder
from trimtab.betting.domain.results import BetSide
from trimtab.betting.service.orders import BetOrders, OrderLimits
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Conflict, Unprocessable

CLIENTS, EACH = 50, 6
LIMIT = Decimal(300)
CALLER = Caller("demo", frozenset(), subject="p")


@pytest.fixture
def bettor(system: System) -> Iterator[Bettor]:
    """Return user 1, whose limit is 1,000,000."""
    with settings(max_stake="1000000", max_exposure="1000000"):
        yield Bettor(system)


def test_the_cash_out_of_600_000_is_accepted(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", "600000", "2.00")
    assert bettor.metrics()["open_worst_case"] == "600000.00"
    refused(bettor.place("BACK", "400000.01", "2.00", "away"), 422, "exposure_limit")
    hedge = bettor.selection("home")["cash_out"]
    bettor.place_successfully(hedge["side"], hedge["stake"], hedge["odds"])
    totals = bettor.metrics()
    assert (totals["open_exposure"], totals["open_worst_case"]) == ("1200000.00", "0.00")
    assert bettor.compare_totals().is_consistent


def test_a_gross_limit_refuses_the_cash_out(bettor: Bettor) -> None:
    with settings(exposure_limit=LimitedExposure.GROSS):
        bettor.place_successfully("BACK", "600000", "2.00")
        answer = bettor.place("LAY", "600000", "2.00")
    assert "total exposure" in refused(answer, 422, "exposure_limit")["detail"]
    assert len(stored_orders()) == 1


def test_the_worst_cases_of_all_markets_share_the_limit(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", "600000", "2.00")
    bettor.place_successfully("LAY", "200000", "3.00", market_id="other")
    refused(bettor.place("BACK", "0.01", "2.00", market_id="third"), 422, "exposure_limit")
    assert bettor.metrics()["open_worst_case"] == "1000000.00"
    assert bettor.metrics(market_id="other")["open_worst_case"] == "400000.00"


def test_the_cancellation_of_one_order_of_a_hedge_needs_room(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", "600000", "2.00")
    lay = bettor.place_successfully("LAY", "600000", "2.00")
    other = bettor.place_successfully("BACK", "600000", "2.00", market_id="other")
    answer = bettor.cancel(lay)
    assert "largest possible loss" in refused(answer, 422, "exposure_limit")["detail"]
    assert bettor.read(f"/orders/{lay}")["status"] == "OPEN"
    assert bettor.cancel(other).status == 200
    assert bettor.cancel(lay).status == 200
    assert bettor.metrics()["open_worst_case"] == "600000.00"
    assert bettor.compare_totals().is_consistent


def test_no_limit_refuses_the_settlement_of_one_order_of_a_hedge(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", "600000", "2.00")
    lay = bettor.place_successfully("LAY", "600000", "2.00")
    bettor.place_successfully("BACK", "600000", "2.00", market_id="other")
    assert bettor.settle(lay, result="void").status == 200
    assert bettor.metrics()["open_worst_case"] == "1200000.00"


def test_a_limit_that_was_lowered_refuses_no_order_that_hedges(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", "600000", "2.00")
    with settings(max_exposure="100"):
        refused(bettor.place("BACK", "1", "2.00"), 422, "exposure_limit")
        bettor.place_successfully("LAY", "300000", "2.00")


def test_lays_of_several_selections_are_netted_in_a_market_of_one_winner(bettor: Bettor) -> None:
    with settings(number_of_winners="1"):
        for selection in ("home", "draw", "away"):
            bettor.place_successfully("LAY", "200000", "3.00", selection)
    assert bettor.metrics()["open_worst_case"] == "0.00"
    bettor.place_successfully("LAY", "200000", "3.00", "home")  # the position keeps its number of winners
    assert bettor.metrics()["open_worst_case"] == "400000.00"  # home: 400,000 - 800,000
    assert bettor.compare_totals().is_consistent


def test_totals_of_an_earlier_release_are_completed_by_a_repair(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", "600000", "2.00")
    table = boto3.resource("dynamodb").Table(BETTING_TABLE)
    table.update_item(Key=totals_key("demo", "1"), UpdateExpression="REMOVE open_worst_case")
    table.update_item(Key=position_key("demo", "1", "match-7"), UpdateExpression="REMOVE totals.open_worst_case")
    assert bettor.metrics()["open_worst_case"] == "0.00"
    comparison = bettor.compare_totals(repair=True)
    assert (comparison.is_consistent, comparison.wrong_positions) == (False, ("match-7",))
    assert bettor.metrics()["open_worst_case"] == "600000.00"
    assert bettor.compare_totals().is_consistent


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_fifty_clients_that_place_hedge_and_cancel_never_exceed_the_limit(system: System) -> None:
    def act(client: int) -> list[str]:
        # The service without the handler: Powertools keeps the request in the process, which the threads share.
        orders = BetOrders(betting_store(), OrderLimits(LIMIT, LIMIT), utc_now)
        draw = random.Random(client)  # noqa: S311 - reproducible orders
        outcomes: list[str] = []
        placed: list[str] = []
        for number in range(EACH):
            cancelled = draw.choice(placed) if placed and draw.random() < 0.4 else None
            new = NewOrder(
                "1", f"m{client % 5}", draw.choice("ab"), draw.choice(list(BetSide)), Decimal(20), Decimal(2)
            )
            for _ in range(1000):
                try:
                    if cancelled:
                        orders.cancel(CALLER, cancelled)
                    else:
                        placed.append(orders.place(CALLER, new, f"c{client}-{number}").order.order_id)
                    outcomes.append("cancelled" if cancelled else "placed")
                except Conflict:  # 409 with Retry-After: the client repeats the request
                    continue
                except Unprocessable as refusal:
                    outcomes.append(refusal.type)
                break
        return outcomes

    with fast_transactions(), ThreadPoolExecutor(CLIENTS) as pool:
        outcomes = [outcome for each in pool.map(act, range(CLIENTS)) for outcome in each]
    images = [record["dynamodb"]["NewImage"] for record in commits(BETTING_TABLE)]
    worst_cases = [int(image["open_worst_case"]["N"]) for image in images if "open_worst_case" in image]
    assert len(outcomes) == CLIENTS * EACH
    assert set(outcomes) == {"placed", "cancelled", "exposure_limit"}
    assert max(worst_cases) == LIMIT * 100
    assert Bettor(system).compare_totals().is_consistent
