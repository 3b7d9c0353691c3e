"""Request bodies and responses of the routes for cash."""

from datetime import datetime
from typing import Any

from trimtab.contracts.fields import Model, Time
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.portfolios.ledger.new_entries import NewCashEntry
from trimtab.portfolios.ledger.views import Amount, Answer, RefIdBody, stated_amount
from trimtab.portfolios.portfolio.cash import CashEntry, CashType


class MoveCash(Model):
    """Cash that comes in (`deposit`, `dividend`) or goes out (`withdrawal`, `fee`), now or at a past `executed_at`.

    Balances follow from the times of execution, in any order of entry. Unless the portfolio's `cash_tracking` says
    otherwise, trades executed since the earliest entry change cash, and an entry that makes cash negative at any
    instant is refused (422 `insufficient_cash`).
    """

    ref_id: RefIdBody
    type: CashType
    amount: Amount
    executed_at: Time | None = None

    def to_domain(self) -> NewCashEntry:
        """Return the entry to be recorded."""
        return NewCashEntry(self.ref_id, self.type, self.amount, self.executed_at)


class CorrectCash(Model):
    """A correction of a cash entry; members that are left out keep their values. A void entry changes no balance."""

    type: CashType | None = None
    amount: Amount | None = None
    executed_at: Time | None = None
    is_void: bool | None = None

    def to_domain(self) -> dict[str, Any]:
        """Return the members to change, by name."""
        changes = {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        if not changes:
            raise Invalid("nothing_to_correct", "Send at least one of type, amount, executed_at and is_void.")
        return changes


class CashRevisionView(Model):
    """Members of a cash entry before a correction, with author and time of the correction."""

    revision: int
    corrected_by: str
    corrected_at: datetime
    type: CashType
    amount: str
    executed_at: datetime
    is_void: bool


class CashView(Model):
    """The present revision of a cash entry; `history` holds the earlier revisions, oldest first.

    A void entry changes no balance. The balance is that of the portfolio: other entries may be executed before and
    after.
    """

    ref_id: str
    portfolio_id: str
    type: CashType
    amount: str
    executed_at: datetime
    is_void: bool
    revision: int
    history: list[CashRevisionView]
    created_at: datetime


class CashList(Model):
    """A page of cash entries, latest execution first."""

    items: list[CashView]
    next_cursor: str | None


def cash_view(entry: CashEntry) -> Answer:
    """Return a `CashView`."""
    return {
        "ref_id": entry.ref_id,
        "portfolio_id": entry.portfolio_id,
        "type": entry.type.value,
        "amount": stated_amount(entry.amount),
        "executed_at": format_time(entry.executed_at),
        "is_void": entry.is_void,
        "revision": entry.version,
        "history": [
            {
                "revision": number,
                "corrected_by": each.corrected_by,
                "corrected_at": format_time(each.corrected_at),
                "type": each.type.value,
                "amount": stated_amount(each.amount),
                "executed_at": format_time(each.executed_at),
                "is_void": each.is_void,
            }
            for number, each in enumerate(entry.history, 1)
        ],
        "created_at": format_time(entry.created_at),
    }
