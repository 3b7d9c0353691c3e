"""Trades and cash entries of a portfolio's ledger, and the correction of a trade."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, ZERO, plain, to_money, to_places
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeEffect, TradeStatus

MAX_CLOCK_LEAD = timedelta(minutes=5)
MAX_CORRECTIONS = 100
MAX_AMOUNT = Decimal("999999999999.99")


class TradeRevision(Struct, frozen=True):
    """Members of a trade before a correction, with the author and the time (UTC) of the correction."""

    corrected_by: str
    corrected_at: datetime
    quantity: Decimal
    amount: Decimal
    status: TradeStatus
    executed_at: datetime


class Trade(Record, frozen=True):
    """A trade of a portfolio, unique by `ref_id`.

    `quantity` has 9 decimal places, `amount` (gross) and `fees` are money, times are UTC. `version` is the number of
    the present revision, `history` holds the earlier revisions, oldest first. `moves_cash` is true where cash was
    tracked when the trade first became successful; only then does a correction pay cash back. `rebalance_id` is set
    for the fill of a rebalance's order; clients cannot correct such a trade.
    """

    tenant_id: str
    portfolio_id: str
    user_id: str
    ref_id: str
    side: Side
    security_type: SecurityType
    symbol: str
    quantity: Decimal
    amount: Decimal
    fees: Decimal
    status: TradeStatus
    executed_at: datetime
    request_hash: str
    created_at: datetime
    updated_at: datetime
    moves_cash: bool = False
    rebalance_id: str | None = None
    history: tuple[TradeRevision, ...] = ()

    @property
    def price(self) -> Decimal:
        """Amount of one unit, 9 decimal places."""
        return to_places(CONTEXT.divide(self.amount, self.quantity), QUANTITY_PLACES)

    @property
    def effect(self) -> TradeEffect | None:
        """Effect on holding and cash; None unless the status is `success`."""
        if self.status is not TradeStatus.SUCCESS:
            return None
        return TradeEffect(
            self.ref_id,
            self.side,
            self.security_type,
            self.symbol,
            self.quantity,
            self.amount,
            self.fees,
            self.executed_at,
        )

    @property
    def cash_change(self) -> Decimal:
        """Change of the portfolio's cash (money); zero where the trade does not move cash."""
        return self.effect.cash_change if self.effect and self.moves_cash else ZERO

    def with_cash_effect(self, before: "Trade | None", *, cash_is_tracked: bool) -> "Trade":
        """Return the trade with `moves_cash` set.

        `moves_cash` is decided once, when the trade first becomes successful. `before` is the earlier revision, None
        for a new trade.
        """
        was_successful = before is not None and before.effect is not None
        return replace(self, moves_cash=before.moves_cash if before and was_successful else cash_is_tracked)

    def with_event(self) -> "Trade":
        """Return the trade with the event of its present revision: `trade.recorded` or `trade.corrected`."""
        type = "trade.recorded" if self.version == 1 else "trade.corrected"
        return replace(self, events=(Event(type, self._event_data()),))

    def first_revision(self) -> "Trade":
        """Return the first revision of the trade, the answer to a repeated request."""
        if not self.history:
            return self
        first = self.history[0]
        return replace(
            self,
            quantity=first.quantity,
            amount=first.amount,
            status=first.status,
            executed_at=first.executed_at,
            updated_at=self.created_at,
            version=1,
            history=(),
        )

    def correct(self, changes: Mapping[str, Any], *, by: str, now: datetime) -> "Trade":
        """Return the next revision, with members changed by name; the same trade where no member differs.

        Raises `Unprocessable` (`too_many_corrections`) after 100 corrections.
        """
        corrected = replace(self, **changes)
        if corrected == self:
            return self
        if len(self.history) >= MAX_CORRECTIONS:
            raise Unprocessable(
                "too_many_corrections",
                f"A trade accepts at most {MAX_CORRECTIONS} corrections; trade {self.ref_id} has as many.",
            )
        revision = TradeRevision(by, now, self.quantity, self.amount, self.status, self.executed_at)
        next_version = self.version + 1
        corrected = replace(corrected, version=next_version, updated_at=now, history=(*self.history, revision))
        return corrected.with_event()

    def _event_data(self) -> dict[str, Any]:
        """Return the data of the event; `affects_from` is the earliest time at which a holding may change."""
        previous = [revision.executed_at for revision in self.history[-1:]]
        return {
            "portfolio_id": self.portfolio_id,
            "user_id": self.user_id,
            "ref_id": self.ref_id,
            "side": self.side.value,
            "symbol": self.symbol,
            "quantity": plain(self.quantity),
            "amount": plain(self.amount),
            "status": self.status.value,
            "executed_at": format_time(self.executed_at),
            "affects_from": format_time(min([self.executed_at, *previous])),
            "revision": self.version,
        }


def gross_amount(quantity: Decimal, price: Decimal) -> Decimal:
    """Return quantity times price, rounded half up to cents; the result may exceed `MAX_AMOUNT`.

    >>> gross_amount(Decimal(3), Decimal("0.005"))
    Decimal('0.02')
    """
    return to_money(CONTEXT.multiply(quantity, price))


def require_not_in_future(executed_at: datetime, now: datetime) -> None:
    """Raise `Unprocessable` (`executed_at_in_future`) for a time more than 5 minutes after `now`."""
    if executed_at > now + MAX_CLOCK_LEAD:
        raise Unprocessable(
            "executed_at_in_future", "executed_at is more than 5 minutes in the future. Send the time of execution."
        )


class CashType(StrEnum):
    """Why cash comes or goes."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    FEE = "fee"

    @property
    def sign(self) -> int:
        """1 where cash comes in, -1 where it goes out."""
        return 1 if self in {CashType.DEPOSIT, CashType.DIVIDEND} else -1

    @property
    def is_external(self) -> bool:
        """Whether somebody put it in or took it out; dividends and fees are what the portfolio earned and cost."""
        return self in {CashType.DEPOSIT, CashType.WITHDRAWAL}


class CashEntry(Record, frozen=True):
    """Cash that came into a portfolio or went out of it; `balance` is what was there afterwards.

    `executed_at` is when it happened, which may be long before it is recorded: returns are worked out from it.
    """

    tenant_id: str
    portfolio_id: str
    ref_id: str
    type: CashType
    amount: Decimal
    balance: Decimal
    executed_at: datetime
    created_at: datetime

    @property
    def change(self) -> Decimal:
        """What it adds to the portfolio's cash."""
        return self.type.sign * self.amount

    @property
    def is_external(self) -> bool:
        """See `CashType.is_external`."""
        return self.type.is_external

    def announced(self, user_id: str) -> "CashEntry":
        """With the event that says that it is recorded."""
        data = {
            "portfolio_id": self.portfolio_id,
            "user_id": user_id,
            "ref_id": self.ref_id,
            "type": self.type.value,
            "amount": plain(self.amount),
            "executed_at": format_time(self.executed_at),
        }
        return replace(self, events=(Event("cash.recorded", data),))
