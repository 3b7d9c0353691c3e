"""Cash entries: deposits, withdrawals, dividends and fees of a portfolio."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain, to_money
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in

CASH_PREFIX = "CASH#"


class CashType(StrEnum):
    """Kind of a cash entry."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    FEE = "fee"

    @property
    def sign(self) -> int:
        """Sign of the change of the balance: 1 for cash that comes in, -1 for cash that goes out."""
        match self:
            case CashType.DEPOSIT | CashType.DIVIDEND:
                return 1
            case CashType.WITHDRAWAL | CashType.FEE:
                return -1
            case _:
                assert_never(self)

    @property
    def is_external(self) -> bool:
        """Return whether the owner moved the cash; dividends and fees are income and cost of the portfolio."""
        match self:
            case CashType.DEPOSIT | CashType.WITHDRAWAL:
                return True
            case CashType.DIVIDEND | CashType.FEE:
                return False
            case _:
                assert_never(self)


class CashEntry(Record, frozen=True):
    """Cash that came into a portfolio or went out, unique by `ref_id`; amounts are money, times are UTC.

    `amount` is positive, has up to 9 decimal places, and is kept as given. `executed_at` may be long before
    `created_at`; balances and returns follow from `executed_at`. `balance` is stored by earlier releases only: the
    balance when the entry was recorded, which depended on the order of entry.
    """

    tenant_id: str
    portfolio_id: str
    ref_id: str
    type: CashType
    amount: Decimal
    executed_at: datetime
    created_at: datetime
    balance: Decimal | None = None

    @property
    def change(self) -> Decimal:
        """Change of the cash balance (money), negative where cash goes out; the only rounding of the amount."""
        return self.type.sign * to_money(self.amount)

    @property
    def is_external(self) -> bool:
        """Return whether the owner moved the cash."""
        return self.type.is_external

    def with_event(self, user_id: str) -> "CashEntry":
        """Return the entry with the event `cash.recorded`, addressed to the owner of the portfolio."""
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
            **self.record_attributes(),
            "tenant_id": self.tenant_id,
            "type": self.type.value,
            "amount": plain(self.amount),
            "balance": None if self.balance is None else plain(self.balance),
            "executed_at": format_time(self.executed_at),
            "created_at": format_time(self.created_at),
            "updated_at": format_time(self.created_at),
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "CashEntry":
        """Return the entry of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                attributes = {
                    **item,
                    "portfolio_id": portfolio_id_in(item["pk"]),
                    "ref_id": item["sk"].removeprefix(CASH_PREFIX),
                    "events": (),
                }
                return from_attributes(attributes, cls)
            case version:
                raise UnknownForm("cash entry", version)
