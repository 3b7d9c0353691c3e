"""What REST routes and RPCs of betting share: the settings, the services as they are wired, what is counted."""

from decimal import Decimal
from functools import lru_cache

from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.adapters.queues import Settlements as SettlementQueue
from trimtab.betting.domain.orders import NewOrder, Order
from trimtab.betting.schemas.requests import SettleMarket, SettleOrder
from trimtab.betting.service.accounts import Accounts
from trimtab.betting.service.orders import Limits, Orders, Placed
from trimtab.betting.service.settlements import Settlements, Settling
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.kernel.money import parse_number
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count, counting_refusals, measure
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client


class BettingSettings(Settings):
    """What these functions are told by their environment; numbers are texts, an empty one is no limit."""

    betting_table: str
    settlements_queue_url: str
    auth: str
    max_stake: str
    max_exposure: str
    minimum_expected_value: str = ""

    @property
    def limits(self) -> Limits:
        """What is asked of orders."""
        minimum: Decimal | None = None
        if self.minimum_expected_value:
            minimum = parse_number(self.minimum_expected_value)
        return Limits(parse_number(self.max_stake), parse_number(self.max_exposure), minimum)


@lru_cache(maxsize=1)
def settings() -> BettingSettings:
    """The settings, read on first use."""
    return BettingSettings.load()


@lru_cache(maxsize=1)
def book() -> DynamoBook:
    """The store, wired to DynamoDB."""
    return DynamoBook(dynamodb_client(), settings().betting_table)


@lru_cache(maxsize=1)
def orders() -> Orders:
    """The orders."""
    return Orders(book(), settings().limits, utc_now)


@lru_cache(maxsize=1)
def accounts() -> Accounts:
    """The positions and sums."""
    return Accounts(book())


@lru_cache(maxsize=1)
def settlements() -> Settlements:
    """The settlement of markets."""
    return Settlements(book(), SettlementQueue(sqs_client(), settings().settlements_queue_url), utc_now)


def place(caller: Caller, new: NewOrder, key: str) -> Placed:
    """Places an order; counts it and measures its exposure the first time, or counts its refusal."""
    with counting_refusals("OrdersRefused"):
        placed = orders().place(caller, new, key)
    if not placed.is_repeat:
        count("OrdersPlaced")
        measure("OrderExposure", placed.order.exposure)
    return placed


def settle(caller: Caller, order_id: str, body: SettleOrder) -> Order:
    """Settles an order as the body says; counts it the first time, or counts its refusal."""
    with counting_refusals("SettlementsRefused"):
        settled = orders().settle(caller, order_id, body.to_domain())
    if not settled.is_repeat:
        count("OrdersSettled")
    return settled.order


def settle_market(caller: Caller, market_id: str, body: SettleMarket) -> Settling:
    """Settles a market as the body says, or counts the refusal; its orders are counted as they are settled."""
    with counting_refusals("SettlementsRefused"):
        return settlements().settle(caller, market_id, body.winners, body.voids, body.commission_rate)
