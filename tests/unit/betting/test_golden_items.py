"""Golden items of betting: the items of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.write_units import item_bytes
from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.market_results import StatedResults
from trimtab.betting.domain.market_states import MarketAction, MarketWithoutResults
from trimtab.betting.domain.markets import MarketUser, MarketWithResults, enter_results
from trimtab.betting.domain.orders import BetOrder, NewOrder, SettlementRequest, require_same_order
from trimtab.betting.domain.positions import MAX_SELECTIONS, BettingPosition, fold_orders
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult
from trimtab.betting.domain.totals import OrderTotals, SelectionExposure, UserTotals
from trimtab.contracts.messages import SettlementRequested, read_body
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel.errors import Conflict
from trimtab.runtime.dynamodb.client import deserialize, serialize

GOLDEN = Path(__file__).parents[2] / "golden/betting"
D = Decimal
TIME = datetime(2026, 11, 21, 12, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSIGHT = Insight("match-7", "home", D("0.31"), D("0.085"), D("-0.2"), TIME)
NEW_ORDER = NewOrder("1", "match-7", "home", BetSide.LAY, D("10"), D("3.50"))
DEAD_HEAT = SettlementRequest(
    SelectionResult(ResultKind.DEAD_HEAT, Fraction(1, 3)), D("0.5"), D("25"), "Rule 4: a runner was withdrawn."
)
OPEN = NEW_ORDER.place("demo", "11111111-2222-5333-8444-555555555555", INSIGHT, TIME)
THREE_DECIMALS = NewOrder("1", "match-7", "home", BetSide.BACK, D("10.00"), D("3.005")).place(
    "demo", "bbbbbbbb-cccc-5ddd-8eee-ffffffffffff", None, TIME
)
SETTLED = NewOrder("1", "match-7", "away", BetSide.BACK, D("12.25"), D("2.00")).place(
    "demo", "66666666-7777-5888-8999-000000000000", None, TIME + HOUR
)
SETTLED = SETTLED.settle(SettlementRequest(SelectionResult(ResultKind.WON)), by="ann", now=TIME + 2 * HOUR)
OVERRIDDEN = NEW_ORDER.place("demo", "aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeeee", None, TIME)
OVERRIDDEN = OVERRIDDEN.settle(
    SettlementRequest(DEAD_HEAT.result, D(0), D("25"), DEAD_HEAT.override_reason),
    by="ann",
    now=TIME + HOUR,
    with_market=True,
)
NO_ORDERS = BettingPosition(tenant_id="demo", user_id="1", market_id="match-7", updated_at=TIME)
MARKET = enter_results("demo", "match-7", StatedResults(("away",), ("x",)), D(5), by="ann", now=TIME + 3 * HOUR)
WITH_RESULTS = enter_results(
    "demo",
    "match-7",
    StatedResults(("a", "b"), ("x",), {"c": SelectionResult(ResultKind.HALF_WON, reduction_factor=D("20.5"))}, 1),
    D(5),
    by="ann",
    now=TIME,
)
SUSPENDED = MarketWithoutResults(tenant_id="demo", market_id="match-7").change(MarketAction.SUSPEND, by="ann", now=TIME)
RESETTLED = OVERRIDDEN.resettle(
    SettlementRequest(SelectionResult(ResultKind.LOST)), "The runner was placed.", by="bob", now=TIME + 2 * HOUR
)
CORRECTED = MARKET.mark_settled(2, TIME + 4 * HOUR).resettle(
    StatedResults(("home",)), None, "The goal did not count.", by="bob", now=TIME + 5 * HOUR
)
WORST_CASE = fold_orders(replace(NO_ORDERS, number_of_winners=1), [OPEN, SETTLED])
POSITION = replace(WORST_CASE, number_of_winners=None, totals=replace(WORST_CASE.totals, open_worst_case=D("0.00")))
CHARGED = fold_orders(NO_ORDERS, [SETTLED], MARKET)
ITEMS: dict[str, Any] = {
    "order_open": OPEN,
    "order_three_decimals": THREE_DECIMALS,
    "order_settled": SETTLED,
    "order_overridden": OVERRIDDEN,
    "position": POSITION,
    "position_worst_case": WORST_CASE,
    "position_charged": CHARGED,
    "user_totals": UserTotals(POSITION.totals, 2),
    "user_totals_worst_case": UserTotals(WORST_CASE.totals, 2),
    "market_closed": MARKET,
    "market_settled": MARKET.mark_settled(2, TIME + 4 * HOUR),
    "market_with_results": WITH_RESULTS,
    "market_suspended": SUSPENDED,
    "market_corrected": CORRECTED,
    "order_resettled": RESETTLED,
    "position_corrected": replace(CHARGED, settlement_number=2),
    "market_user": MarketUser("demo", "match-7", "1"),
    "insight": INSIGHT,
}
MESSAGES = {
    "settlement_of_market": SettlementRequested(tenant_id="demo", market_id="match-7", after="1#place"),
    "settlement_of_user": SettlementRequested(tenant_id="demo", market_id="match-7", user_id="1", tries=2),
    "settlement_of_user_page": SettlementRequested(
        tenant_id="demo", market_id="match-7", user_id="1", after="2026-11-21T12:30:00.123456Z#o", orders=3, number=2
    ),
    "settlement_check": SettlementRequested(
        tenant_id="demo", market_id="match-7", check=True, after="1", orders=3, tries=4
    ),
}


def written(value: Any) -> dict[str, Any]:
    """Return the item of a value as read back from DynamoDB: attributes with the value None are not stored."""
    match value:
        case UserTotals():
            item = value.to_item("demo", "1")
        case Insight():
            item = value.to_item("demo")
        case _:
            item = value.to_item()
    stored_item: dict[str, Any] = deserialize(serialize(item))
    return stored_item


def stored(kind: str) -> Any:
    """Return the golden item or message of a kind."""
    (path,) = GOLDEN.glob(f"{kind}.v?.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize("kind", ITEMS)
def test_the_golden_item_is_read_and_written_unchanged(kind: str) -> None:
    value = ITEMS[kind]
    assert type(value).from_item(stored(kind)) == value
    assert written(value) == stored(kind)
    assert stored(kind)["v"] == (2 if kind in {"market_with_results", "market_suspended", "market_corrected"} else 1)


@pytest.mark.parametrize("kind", ITEMS)
def test_an_item_of_an_unknown_form_is_refused(kind: str) -> None:
    with pytest.raises(UnknownForm):
        type(ITEMS[kind]).from_item(stored(kind) | {"v": 3})


@pytest.mark.parametrize("kind", ITEMS)
def test_unknown_attributes_of_a_newer_release_are_ignored(kind: str) -> None:
    item = stored(kind) | {"channel": "web"}
    for name in ("settlement", "insight", "totals"):
        if name in item:
            item[name] = {**item[name], "orders_expired": 1}
    if "selections" in item:
        item["selections"] = {each: {**members, "cashed_out": 5} for each, members in item["selections"].items()}
    assert type(ITEMS[kind]).from_item(item) == ITEMS[kind]


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_golden_message_is_read_and_written_unchanged(kind: str) -> None:
    body = json.dumps(stored(kind))
    assert read_body(body, SettlementRequested) == MESSAGES[kind]
    assert json.loads(MESSAGES[kind].to_body()) == stored(kind)


def test_a_later_added_total_leaves_older_items_readable() -> None:
    class LaterTotals(OrderTotals, frozen=True):
        orders_expired: int = 0
        expired_stake: Decimal = Decimal("0.00")

    class LaterExposure(SelectionExposure, frozen=True):
        cashed_out: Decimal = Decimal("0.00")

    totals = LaterTotals.from_cents(stored("user_totals"))
    assert (totals.orders_placed, totals.orders_expired, totals.expired_stake) == (2, 0, D(0))
    assert totals.plus(LaterTotals(orders_expired=1)).to_cents()["orders_expired"] == 1
    for kind in ("position", "position_charged"):
        item = stored(kind)
        assert LaterTotals.from_cents(item["totals"]).orders_placed == ITEMS[kind].totals.orders_placed
        for selection_id, members in item["selections"].items():
            exposure = LaterExposure.from_cents(members)
            assert (exposure.cashed_out, exposure.exposure) == (D(0), ITEMS[kind].get_exposure(selection_id).exposure)


def test_a_later_added_member_leaves_older_orders_and_markets_readable() -> None:
    class LaterOrder(BetOrder, frozen=True):
        channel: str = "web"

    class LaterMarket(MarketWithResults, frozen=True):
        place_factor: Decimal = Decimal(1)

    assert LaterOrder.from_item(stored("order_overridden")).channel == "web"
    assert LaterMarket.from_item(stored("market_closed")).place_factor == 1


# Request hashes ----------------------------------------------------------------------------------------------------


def test_the_hashes_of_requests_are_pinned_with_their_version() -> None:
    assert NEW_ORDER.request_hash() == "1:89e19a8df9d2152b4f7e378bba8259db"
    assert DEAD_HEAT.request_hash() == "1:c69d5f6022143c6a071b1cb1c39a6848"
    assert SettlementRequest(SelectionResult(ResultKind.WON)).request_hash() == "1:8792b8572ee96eac756f165bb859d184"


def test_a_later_added_optional_field_does_not_turn_a_repeat_into_a_conflict() -> None:
    class LaterNewOrder(NewOrder, frozen=True):
        promotion: str | None = None

    members = {name: getattr(NEW_ORDER, name) for name in NEW_ORDER.__struct_fields__}
    order = BetOrder.from_item(stored("order_open"))
    require_same_order(order, LaterNewOrder(**members))
    with pytest.raises(Conflict):
        require_same_order(order, LaterNewOrder(**members, promotion="double"))
    with pytest.raises(Conflict):
        require_same_order(order, replace(NEW_ORDER, stake=D(11)))


def test_a_hash_of_an_unknown_version_is_refused() -> None:
    for request in (NEW_ORDER, DEAD_HEAT):
        with pytest.raises(UnknownForm):
            request.request_hash(2)


# Sizes -------------------------------------------------------------------------------------------------------------


def test_usual_items_cost_one_write_unit_and_the_largest_position_fits_in_an_item() -> None:
    assert item_bytes(serialize(SETTLED.to_item())) <= 1024
    assert item_bytes(serialize(OPEN.to_item())) <= 2 * 1024  # with an insight
    assert item_bytes(serialize(_position_on(3).to_item())) <= 1024
    assert item_bytes(serialize(_position_on(MAX_SELECTIONS).to_item())) <= 100 * 1024  # DynamoDB accepts 400 KB


def _position_on(selections: int) -> BettingPosition:
    position = NO_ORDERS
    for number in range(selections):
        order = replace(OPEN, order_id=f"o{number}", selection_id=f"s{number}".ljust(64, "x"))
        position = position.apply([(None, order)], TIME)
    return position
