"""Settlement in full: each member of events, items and results of markets, and each refusal with its type and text."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.betting.domain.exposure_limits import ExposureLimit, LimitedExposure
from trimtab.betting.domain.market_results import StatedResults
from trimtab.betting.domain.markets import (
    MarketUser,
    MarketWithResults,
    ResultsStatus,
    enter_results,
    market_closed,
    require_same_settlement,
)
from trimtab.betting.domain.orders import (
    BetOrder,
    BetStatus,
    NewOrder,
    SettlementRequest,
    derive_order_id,
    require_same_order,
)
from trimtab.betting.domain.positions import MAX_SELECTIONS, BettingPosition
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult
from trimtab.betting.domain.totals import OrderTotals, SelectionExposure, UserTotals, totals_of_commission
from trimtab.contracts.stored_form import FORM, UnknownForm
from trimtab.kernel.errors import Refusal
from trimtab.kernel.ids import derive_id

D = Decimal
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
WON, LOST, VOID = (SelectionResult(kind) for kind in (ResultKind.WON, ResultKind.LOST, ResultKind.VOID))
NEW = NewOrder("u", "m", "home", BetSide.LAY, D(10), D("3.50"))
OPEN = NEW.place("demo", "o1", None, NOW)
MARKET = enter_results("demo", "m", StatedResults(("home",), ("off",)), D(5), by="p", now=NOW)


def settle(order: BetOrder, result: SelectionResult = LOST, **members: Any) -> BetOrder:
    """Return the order settled five minutes later."""
    return order.settle(SettlementRequest(result, **members), by="p", now=LATER)


def position(**members: Any) -> BettingPosition:
    """Return a position of the user on the market."""
    return BettingPosition(tenant_id="demo", user_id="u", market_id="m", updated_at=NOW, **members)


def test_the_events_of_an_order_have_every_member() -> None:
    placed = {
        **{"id": "o1", "user_id": "u", "market_id": "m", "selection_id": "home", "side": "LAY", "stake": "10.00"},
        **{"odds": "3.50", "status": "OPEN", "payout": None, "settled_at": None, "exposure": "25.00", "pnl": None},
    }
    assert NEW.place("demo", "o1", None, NOW) == OPEN
    assert [(event.type, event.data) for event in OPEN.events] == [("order.placed", placed)]
    settled = settle(OPEN, commission=D(1))
    paid = {"status": "SETTLED", "payout": "35.00", "settled_at": "2026-11-21T12:05:00.000000Z", "pnl": "9.00"}
    assert [(event.type, event.data) for event in settled.events] == [("order.settled", placed | paid)]
    assert (settled.version, settled.updated_at, settled.created_at) == (2, LATER, NOW)
    cancelled = OPEN.cancel(LATER)
    assert [(event.type, event.data) for event in cancelled.events] == [
        ("order.cancelled", placed | {"status": "CANCELLED"})
    ]
    assert (cancelled.version, cancelled.updated_at, cancelled.status) == (2, LATER, BetStatus.CANCELLED)


def test_a_settlement_keeps_who_when_and_with_what() -> None:
    settlement = settle(OPEN, commission=D(1)).settlement
    assert settlement is not None
    assert (settlement.settled_by, settlement.settled_at, settlement.with_market) == ("p", LATER, False)
    assert (settlement.result, settlement.commission) == (ResultKind.LOST, D(1))
    assert (settlement.due, settlement.payout) == (D(35), D(35))
    whole = OPEN.settle(SettlementRequest(LOST), by="p", now=LATER, with_market=True).settlement
    assert whole is not None
    assert whole.with_market


def test_an_overridden_payout_decides_who_has_won() -> None:
    assert settle(OPEN).has_won
    assert not OPEN.has_won
    assert not settle(OPEN, payout=D(25), override_reason="Stake back").has_won
    assert settle(OPEN, WON, payout=D("25.01"), override_reason="Goodwill").has_won


def test_only_an_open_order_is_in_the_indexes_of_open_orders() -> None:
    indexes = {name for name in OPEN.to_item() if name.startswith("by_")}
    always = {"by_user_pk", "by_user_sk", "by_market_pk", "by_market_sk"}
    assert indexes == always | {"by_open_user_pk", "by_open_user_sk", "by_open_market_pk", "by_open_market_sk"}
    item, place = OPEN.to_item(), "2026-11-21T12:00:00.000000Z#o1"
    assert (item["by_user_sk"], item["by_market_sk"], item["by_open_user_sk"]) == (place, place, place)
    assert item["by_open_market_sk"] == f"u#{place}"
    assert item["by_user_pk"] == item["by_open_user_pk"] != item["by_market_pk"] == item["by_open_market_pk"]
    for ended in (settle(OPEN), OPEN.cancel(LATER)):
        assert {name for name in ended.to_item() if name.startswith("by_")} == always
        stored = {name: value for name, value in ended.to_item().items() if value is not None}
        assert BetOrder.from_item(stored) == replace(ended, events=())


def test_the_id_of_an_order_follows_from_tenant_user_and_key() -> None:
    assert derive_order_id("demo", "u", "k") == derive_id("demo", "u", "k")


ORDER_AGAIN = "This Idempotency-Key was used for a different order. Use a new key."
FULL = position(selections={f"s{number}": SelectionExposure(D(1)) for number in range(MAX_SELECTIONS)})
FINAL = "The order was settled differently before; a settlement is final."
REFUSALS: list[tuple[Callable[[], object], str, str]] = [
    (lambda: require_same_order(OPEN, replace(NEW, stake=D(11))), "key_reused", ORDER_AGAIN),
    (lambda: settle(settle(OPEN), WON), "already_settled", FINAL),
    (lambda: settle(OPEN.cancel(NOW)), "cancelled", "The order was cancelled."),
    (
        lambda: settle(OPEN).cancel(NOW),
        "already_settled",
        "The order is settled and can no longer be cancelled.",
    ),
    (
        lambda: settle(OPEN, payout=D(36)),
        "payout_disagrees",
        "The payout that follows from the result is 35.00, not 36.00. Leave payout out, or give an override_reason.",
    ),
    (
        lambda: settle(OPEN, VOID, payout=D(26), override_reason="x"),
        "void_overridden",
        "A void order returns its exposure, 25.00. To pay 26.00, settle the order with another result.",
    ),
    (
        lambda: settle(OPEN, commission=D("10.01")),
        "commission_too_high",
        "commission must not exceed the winnings of the order.",
    ),
    (
        lambda: FULL.require_room_for("new"),
        "too_many_selections",
        "A user can have orders on at most 200 selections of a market.",
    ),
    (
        lambda: enter_results(
            "demo", "m", StatedResults(("b", "a"), ("a", "b"), number_of_winners=2), D(0), by="p", now=NOW
        ),
        "both_won_and_void",
        "a is in winners and in voids; give the selection once.",
    ),
    (
        lambda: require_same_settlement(MARKET, replace(MARKET, winners=("away",))),
        "market_settled",
        "The market was settled with a different result; a settlement is final.",
    ),
]


@pytest.mark.parametrize(("act", "type", "detail"), REFUSALS, ids=[f"{type}" for _, type, _ in REFUSALS])
def test_each_refusal_has_its_type_and_says_what_is_wrong(act: Callable[[], object], type: str, detail: str) -> None:
    with pytest.raises(Refusal) as refused:
        act()
    assert (refused.value.type, refused.value.detail) == (type, detail)


def test_what_is_the_same_or_fits_is_not_refused() -> None:
    require_same_order(OPEN, NEW)
    require_same_settlement(MARKET, replace(MARKET, closed_by="q", closed_at=LATER))
    FULL.require_room_for("s0")
    replace(FULL, selections={}).require_room_for("new")
    assert settle(OPEN, commission=D(10)).pnl == 0


def test_refusals_without_a_raise_have_type_and_text() -> None:
    closed, limit = market_closed(), ExposureLimit(LimitedExposure.GROSS, D("50.00")).exceeded()
    assert closed.type == "market_closed"
    assert closed.detail == "The market is closed; its open orders are settled with the market."
    assert limit.type == "exposure_limit"
    assert limit.detail == "The request would raise the total exposure of the user's open orders above 50.00."


def state_of(market: MarketWithResults) -> tuple[ResultsStatus, str, int]:
    """Return the status of a market, and the status and version of the item."""
    item = market.to_item()
    return market.status, item["status"], item["version"]


def test_a_closed_market_has_every_member_and_a_version_for_each_state() -> None:
    members = ("demo", "m", ("home",), ("off",), D(5), "p", NOW)
    stated = StatedResults(("home",), ("off",))
    assert enter_results("demo", "m", stated, D(5), by="p", now=NOW) == MarketWithResults(*members)
    assert state_of(MARKET) == (ResultsStatus.CLOSED, "CLOSED", 1)
    settled = MARKET.mark_settled(3, LATER)
    assert settled == MarketWithResults(*members, LATER, 3, version=2)
    assert state_of(settled) == (ResultsStatus.SETTLED, "SETTLED", 2)
    assert MarketWithResults.from_item(settled.to_item()) == settled


@pytest.mark.parametrize(
    ("winnings", "charged", "due"),
    [("0", "0", "0"), ("1", "0", "0.05"), ("33", "1", "0.65"), ("33", "2", "0"), ("0.10", "0", "0.01")],
)
def test_commission_is_the_rate_of_net_winnings_less_what_was_charged(winnings: str, charged: str, due: str) -> None:
    assert MARKET.compute_commission(D(winnings), D(charged)) == D(due)


def test_a_market_is_charged_with_the_commission_of_single_orders_counted() -> None:
    # 20 of profit after 1 of commission: 5 % of 21 is 1.05, of which 0.05 are still due.
    earned = position(totals=OrderTotals(orders_placed=1, orders_settled=1, profit=D(20), commission=D(1)))
    charged = earned.charge(MARKET)
    assert charged.market_commission == D("0.05")
    assert charged.totals == earned.totals.plus(totals_of_commission(D("0.05")))
    assert totals_of_commission(D(2)) == OrderTotals(settled_profit=D(-2), profit=D(-2), commission=D(2))


def test_a_position_is_due_while_an_order_is_open_or_a_commission_is_owed() -> None:
    assert position(totals=OrderTotals(orders_open=1)).is_due(MARKET)
    assert position(totals=OrderTotals(profit=D(20))).is_due(MARKET)
    assert not position(totals=OrderTotals(profit=D(20))).charge(MARKET).is_due(MARKET)
    assert not position(totals=OrderTotals(profit=D(-20))).is_due(MARKET)


def test_a_charge_alone_is_announced_for_the_first_selection() -> None:
    earned = position(
        selections={"b": SelectionExposure(realised=D(5)), "a": SelectionExposure(realised=D(15))},
        totals=OrderTotals(profit=D(20)),
        version=3,
    )
    charged = earned.apply([], LATER, MARKET)
    data = {
        **{"user_id": "u", "market_id": "m", "selection_id": "a", "side": None, "exposure": "0.00", "pnl": "15"},
        **{"if_win": "0.00", "if_lose": "0.00", "market_commission": "1.00"},
    }
    assert [(event.type, event.data) for event in charged.events] == [("position.updated", data)]
    assert (charged.version, charged.updated_at, charged.changed_at) == (4, LATER, {"a": NOW, "b": NOW})


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (BetOrder.from_item, "betting order"),
        (MarketWithResults.from_item, "market with results"),
        (MarketUser.from_item, "user of a market"),
        (BettingPosition.from_item, "betting position"),
        (UserTotals.from_item, "totals of a user"),
    ],
)
def test_an_item_of_a_later_release_is_not_read(read: Callable[[dict[str, Any]], object], kind: str) -> None:
    with pytest.raises(UnknownForm) as unknown:
        read({FORM: 9})
    assert str(unknown.value) == str(UnknownForm(kind, 9))
