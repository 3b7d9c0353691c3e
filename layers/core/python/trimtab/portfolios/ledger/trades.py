"""Trades and cash entries as they are recorded: who said what when, and what each correction changed."""

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
from trimtab.portfolios.portfolio.holdings import Execution, SecurityType, Side, TradeStatus

MAX_CLOCK_LEAD = timedelta(minutes=5)
MAX_REVISIONS = 100
MAX_AMOUNT = Decimal("999999999999.99")


class Revision(Struct, frozen=True):
    """What a trade was before a correction, who corrected it, and when."""

    by: str
    at: datetime
    quantity: Decimal
    amount: Decimal
    status: TradeStatus
    executed_at: datetime


class Trade(Record, frozen=True):
    """A trade of a portfolio. Its `version` counts its revisions; `history` holds those before the present one.

    `moves_cash` says whether cash was tracked when it was executed: what was not paid then does not come back.
    `rebalance_id` names the rebalance whose order it is the fill of; nobody corrects such a trade.
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
    history: tuple[Revision, ...] = ()

    @property
    def price(self) -> Decimal:
        """Amount of one unit, 9 places."""
        return to_places(CONTEXT.divide(self.amount, self.quantity), QUANTITY_PLACES)

    @property
    def execution(self) -> Execution | None:
        """What it does to holding and cash; None unless it was successful."""
        if self.status is not TradeStatus.SUCCESS:
            return None
        return Execution(self.ref_id, self.side, self.symbol, self.quantity, self.amount, self.fees, self.executed_at)

    @property
    def cash_change(self) -> Decimal:
        """What it adds to the portfolio's cash."""
        return self.execution.cash_change if self.execution and self.moves_cash else ZERO

    def settled(self, before: "Trade | None", *, cash_is_tracked: bool) -> "Trade":
        """With its say in the portfolio's cash: settled when it was first executed, and then for good."""
        executed = before is not None and before.execution is not None
        return replace(self, moves_cash=before.moves_cash if before and executed else cash_is_tracked)

    def announced(self) -> "Trade":
        """With the event that says what its present revision is."""
        type = "trade.recorded" if self.version == 1 else "trade.corrected"
        return replace(self, events=(self._event(type),))

    def as_first_recorded(self) -> "Trade":
        """As it was before any correction: what the first answer said."""
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

    def corrected(self, change: Mapping[str, Any], *, by: str, now: datetime) -> "Trade":
        """With these members changed; what they were becomes history. The same trade where nothing differs."""
        wanted = replace(self, **change)
        if wanted == self:
            return self
        if len(self.history) >= MAX_REVISIONS:
            raise Unprocessable("too_many_corrections", f"A trade is corrected at most {MAX_REVISIONS} times.")
        before = Revision(by, now, self.quantity, self.amount, self.status, self.executed_at)
        wanted = replace(wanted, version=self.version + 1, updated_at=now, history=(*self.history, before))
        return wanted.announced()

    def _event(self, type: str) -> Event:
        return Event(
            type,
            {
                "portfolio_id": self.portfolio_id,
                "user_id": self.user_id,
                "ref_id": self.ref_id,
                "side": self.side.value,
                "symbol": self.symbol,
                "quantity": plain(self.quantity),
                "amount": plain(self.amount),
                "status": self.status.value,
                "executed_at": format_time(self.executed_at),
                "affects_from": format_time(min([self.executed_at, *(it.executed_at for it in self.history[-1:])])),
                "revision": self.version,
            },
        )


def gross_amount(quantity: Decimal, price: Decimal) -> Decimal:
    """The amount that follows from a price, in money; it may be larger than `MAX_AMOUNT`."""
    return to_money(CONTEXT.multiply(quantity, price))


def require_not_ahead(executed_at: datetime, now: datetime) -> None:
    """`Unprocessable` for a trade that has not happened yet."""
    if executed_at > now + MAX_CLOCK_LEAD:
        raise Unprocessable("executed_at_in_future", "executed_at lies more than 5 minutes ahead.")


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
