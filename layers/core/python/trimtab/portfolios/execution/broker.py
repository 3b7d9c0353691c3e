"""The port to brokers, which execute orders. Adapters: `paper` and `alpaca`."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from trimtab.kernel.currencies import USD
from trimtab.kernel.money import ZERO
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission, RefusalKind


class OutcomeUnknown(Exception):
    """Raised when no answer says whether an order arrived: look the order up, then send the same id again."""


class OrderNotSent(OutcomeUnknown):
    """Raised when this call had no effect: nothing was sent, or the request was turned away unread.

    An earlier call for the same order may have had an effect.
    """


class BrokerTerms(Struct, frozen=True):
    """Terms of a broker on which a plan depends.

    `trades_by_session`: orders fill only in the sessions of the exchange. `commission` is the cost of one order.
    `shared_account` names the one account that all portfolios would share; None where each portfolio has its own.
    """

    trades_by_session: bool = False
    commission: Commission = NO_COMMISSION
    shared_account: str | None = None


class BrokerStatus(StrEnum):
    """OPEN: accepted, more may fill. FILLED: filled completely. ENDED: over with a part or nothing filled."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    ENDED = "ENDED"


class BrokerOrder(Struct, frozen=True):
    """An order for the present trading day: a quantity with up to 9 decimal places, and an optional limit price.

    Prices and fees are in `currency`.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal | None = None
    currency: str = USD


class BrokerReport(Struct, frozen=True):
    """State of an order at the broker: filled quantity, gross amount and fees so far (money), reason of the end.

    `refusal` is set where the broker refused the order.
    """

    client_order_id: str
    status: BrokerStatus
    broker_id: str | None = None
    filled: Decimal = ZERO
    amount: Decimal = ZERO
    fees: Decimal = ZERO
    reason: str | None = None
    refusal: RefusalKind | None = None


class BrokerAccount(Struct, frozen=True):
    """Cash, currency and status of an account at the broker."""

    account: str
    cash: Decimal
    currency: str
    status: str


class Broker(Protocol):
    """A broker. A client order id takes effect at most once; `account` is the id of a portfolio."""

    def submit(self, account: str, order: BrokerOrder) -> BrokerReport:
        """Send an order; return the report of the accepted, filled or refused (ENDED, with a reason) order.

        Idempotent: for a client order id that the broker has already, return the report of the first submission.
        Raises `OutcomeUnknown`, and `OrderNotSent` only where this call certainly had no effect.
        """

    def look_up(self, account: str, client_order_id: str) -> BrokerReport | None:
        """Return the report of an order, None if the order never arrived; raises `OutcomeUnknown`."""

    def cancel(self, account: str, client_order_id: str) -> None:
        """Ask the broker to end an open order; existing fills stay. Raises `OutcomeUnknown`."""

    def positions(self, account: str) -> Mapping[str, Decimal]:
        """Return the quantities by symbol that the broker holds; raises `OutcomeUnknown`."""

    def account(self, account: str) -> BrokerAccount:
        """Return the account as the broker reports it; raises `OutcomeUnknown`."""
