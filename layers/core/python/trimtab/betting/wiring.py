"""Settings, services, lists and metrics that the REST routes and the RPC service of betting share."""

from decimal import Decimal
from functools import lru_cache
from typing import Any

from trimtab.betting.adapters.settlement_queue import SettlementQueue
from trimtab.betting.adapters.store import BettingStore, OrderFilter
from trimtab.betting.domain.exposure_limits import LimitedExposure
from trimtab.betting.domain.odds import OddsLadder
from trimtab.betting.domain.orders import BetOrder, NewOrder
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.totals import OrderTotals
from trimtab.betting.schemas import position_views, views
from trimtab.betting.schemas.market_requests import ResettleMarket, SettleMarket
from trimtab.betting.schemas.requests import ResettleOrder, SettleOrder
from trimtab.betting.service.insights import Insights
from trimtab.betting.service.market_states import MarketStates
from trimtab.betting.service.orders import BetOrders, OrderLimits, PlacedOrder
from trimtab.betting.service.positions import BettingPositions
from trimtab.betting.service.settlements import MarketSettlement, MarketSettlements
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.kernel.money import parse_number
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.cursors import decode_cursor, encode_cursor
from trimtab.runtime.metrics import count, counting_refusals, measure
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client


class BettingSettings(Settings):
    """Settings of the REST and the RPC function.

    `max_stake` and `max_exposure` are money, `minimum_expected_value` is per unit of stake; all three are numbers as
    text. An empty `minimum_expected_value` sets no limit, an empty `number_of_winners` no default.
    """

    betting_table: str
    settlements_queue_url: str
    auth: str
    max_stake: str
    max_exposure: str
    minimum_expected_value: str = ""
    number_of_winners: str = ""
    exposure_limit: LimitedExposure = LimitedExposure.WORST_CASE
    odds_ladder: OddsLadder = OddsLadder.TWO_DECIMALS

    @property
    def default_number_of_winners(self) -> int | None:
        """The number of winners of a market whose settlement states none; None to ask for the number."""
        return int(self.number_of_winners) if self.number_of_winners else None

    @property
    def limits(self) -> OrderLimits:
        """The limits that every new order is checked against."""
        minimum: Decimal | None = None
        if self.minimum_expected_value:
            minimum = parse_number(self.minimum_expected_value)
        return OrderLimits(
            parse_number(self.max_stake),
            parse_number(self.max_exposure),
            minimum,
            self.odds_ladder,
            self.exposure_limit,
            self.default_number_of_winners,
        )


@lru_cache(maxsize=1)
def settings() -> BettingSettings:
    """Return the settings, read on first use."""
    return BettingSettings.load()


@lru_cache(maxsize=1)
def store() -> BettingStore:
    """Return the store, wired to DynamoDB."""
    return BettingStore(dynamodb_client(), settings().betting_table)


@lru_cache(maxsize=1)
def orders() -> BetOrders:
    """Return the service of orders."""
    return BetOrders(store(), settings().limits, utc_now)


@lru_cache(maxsize=1)
def positions() -> BettingPositions:
    """Return the service of positions and totals."""
    return BettingPositions(store())


@lru_cache(maxsize=1)
def insights() -> Insights:
    """Return the service of insights."""
    return Insights(store(), utc_now)


@lru_cache(maxsize=1)
def settlements() -> MarketSettlements:
    """Return the service of market settlements."""
    return MarketSettlements(store(), SettlementQueue(sqs_client(), settings().settlements_queue_url), utc_now)


@lru_cache(maxsize=1)
def market_states() -> MarketStates:
    """Return the service of the states of markets."""
    return MarketStates(store(), utc_now)


def place_order(caller: Caller, new: NewOrder, key: str) -> PlacedOrder:
    """Place an order and record metrics: count and exposure of a new order, nothing for a repeat, or the refusal."""
    with counting_refusals("OrdersRefused"):
        placed = orders().place(caller, new, key)
    if not placed.is_repeat:
        count("OrdersPlaced")
        measure("OrderExposure", placed.order.exposure)
    return placed


def settle_order(caller: Caller, order_id: str, body: SettleOrder) -> BetOrder:
    """Settle an order and record metrics: a first settlement, nothing for a repeat, or the refusal."""
    with counting_refusals("SettlementsRefused"):
        settled = orders().settle(caller, order_id, body.to_domain())
    if not settled.is_repeat:
        count("OrdersSettled")
    return settled.order


def resettle_order(caller: Caller, order_id: str, body: ResettleOrder) -> BetOrder:
    """Correct the settlement of an order and record metrics: a correction, nothing for a repeat, or the refusal."""
    with counting_refusals("SettlementsRefused"):
        settled = orders().resettle(caller, order_id, body.to_domain(), body.reason)
    if not settled.is_repeat:
        count("OrdersResettled")
    return settled.order


def standing_of_user(caller: Caller, order: BetOrder) -> tuple[BettingPosition, OrderTotals]:
    """Return the position of the order's user in the order's market, and the user's totals over all markets."""
    position = positions().get(caller, order.user_id, order.market_id)
    return position, positions().get_totals(caller, order.user_id)


def settle_market(caller: Caller, market_id: str, body: SettleMarket) -> MarketSettlement:
    """Request the settlement of a market; count a refusal. The worker counts each order that it settles."""
    with counting_refusals("SettlementsRefused"):
        stated = body.to_domain(settings().default_number_of_winners)
        return settlements().settle(caller, market_id, stated, body.commission_rate)


def resettle_market(caller: Caller, market_id: str, body: ResettleMarket) -> MarketSettlement:
    """Correct the results of a market; count a refusal. The worker counts each order that it settles again."""
    with counting_refusals("SettlementsRefused"):
        stated = body.to_domain(settings().default_number_of_winners)
        return settlements().resettle(caller, market_id, stated, body.commission_rate, body.reason)


def list_orders(caller: Caller, wanted: OrderFilter, limit: int, cursor: str | None) -> views.Answer:
    """Return a page of orders as an `OrderPage`. If the filter names no user, the user of the token is added."""
    wanted = OrderFilter(wanted.user_id or caller.user_id, wanted.market_id, wanted.status)
    query = (caller.tenant_id, "orders", repr(wanted))
    page = orders().list(caller, wanted, limit=limit, after=decode_cursor(cursor, *query))
    return _page([views.order_view(order) for order in page.items], page.next_position, *query)


def list_positions(
    caller: Caller,
    user_id: str,
    limit: int,
    cursor: str | None,
    *,
    winners: int,
    lay_odds: Decimal | None,
    include_settled: bool = True,
) -> views.Answer:
    """Return a page of positions as a `PositionList`; without `include_settled`, only markets with open orders."""
    ladder = settings().odds_ladder
    if lay_odds is not None:
        ladder.require(lay_odds)
    query = (caller.tenant_id, "positions", user_id)
    page = positions().list(caller, user_id, limit=limit, after=decode_cursor(cursor, *query))
    items = [
        position_views.position_view(position, winners, ladder, lay_odds)
        for position in page.items
        if include_settled or position.totals.orders_open
    ]
    return _page(items, page.next_position, *query)


def _page(items: list[views.Answer], next_position: Any, *query: str) -> views.Answer:
    return {"items": items, "next_cursor": encode_cursor(next_position, *query)}
