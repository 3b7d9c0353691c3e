"""Cash entries: money that comes into a portfolio or goes out of it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec.structs import replace

from trimtab.contracts.events import Event, pack_events
from trimtab.contracts.records import Record
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in

CASH_PREFIX = "CASH#"


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

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the entry's item."""
        return {
            **item_key(self.tenant_id, self.portfolio_id, CASH_PREFIX + self.ref_id),
            "by_time": f"{CASH_PREFIX}{format_time(self.executed_at)}#{self.ref_id}",
            "tenant_id": self.tenant_id,
            "type": self.type.value,
            "amount": plain(self.amount),
            "balance": plain(self.balance),
            "executed_at": format_time(self.executed_at),
            "created_at": format_time(self.created_at),
            "updated_at": format_time(self.created_at),
            "version": self.version,
            "events": pack_events(self.events),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "CashEntry":
        """Return the entry of an item."""
        return cls(
            tenant_id=item["tenant_id"],
            portfolio_id=portfolio_id_in(item["pk"]),
            ref_id=item["sk"].removeprefix(CASH_PREFIX),
            type=CashType(item["type"]),
            amount=Decimal(item["amount"]),
            balance=Decimal(item["balance"]),
            executed_at=parse_time(item["executed_at"]),
            created_at=parse_time(item["created_at"]),
            version=item["version"],
        )
