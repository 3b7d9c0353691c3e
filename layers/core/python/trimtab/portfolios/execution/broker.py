"""The broker: where orders are executed. Adapters: `paper` and `alpaca`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from trimtab.kernel.money import ZERO
from trimtab.portfolios.portfolio.holdings import Side


class OutcomeUnknown(Exception):
    """No answer, or none that says whether the order arrived: look it up, then send the same id again."""


class NotSent(OutcomeUnknown):
    """Nothing was sent, or it was turned away unread: this call has had no effect, whatever one before it had."""


class BrokerStatus(StrEnum):
    """OPEN: accepted, more may fill. FILLED: wholly. ENDED: over with less than all of it (refused, cancelled…)."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as a broker takes it: quantity with up to 9 places; filled at the limit price or better, if there is
    one; for the trading day."""

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BrokerReport:
    """What the broker says of an order: filled so far, for how much (gross, money) and at what fees (money)."""

    client_order_id: str
    status: BrokerStatus
    broker_id: str | None = None
    filled: Decimal = ZERO
    amount: Decimal = ZERO
    fees: Decimal = ZERO
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """The broker's view of an account."""

    account: str
    cash: Decimal
    currency: str
    status: str


class Broker(Protocol):
    """Executes orders of an account (our accounts are portfolios). A client order id takes effect at most once."""

    def submit(self, account: str, order: BrokerOrder) -> BrokerReport:
        """The order, accepted, filled or refused (ENDED, with the reason); raises `OutcomeUnknown`, and `NotSent`
        only where this call surely had no effect.

        An id that the broker has already is not sent again: the report is that of the first.
        """

    def look_up(self, account: str, client_order_id: str) -> BrokerReport | None:
        """What became of the order, None if it never arrived; raises `OutcomeUnknown`."""

    def cancel(self, account: str, client_order_id: str) -> None:
        """Asks for the end of an open order; what it filled until then stays. Raises `OutcomeUnknown`."""

    def positions(self, account: str) -> Mapping[str, Decimal]:
        """Quantity by symbol, as the broker has it; raises `OutcomeUnknown`."""

    def account(self, account: str) -> BrokerAccount:
        """The account as the broker has it; raises `OutcomeUnknown`."""
