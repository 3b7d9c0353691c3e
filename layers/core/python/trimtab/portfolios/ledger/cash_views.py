"""Request bodies and responses of the routes for cash."""

from datetime import datetime

from trimtab.contracts.fields import Model, Time
from trimtab.kernel.clock import format_time
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


class CashView(Model):
    """A cash entry. The balance is that of the portfolio: other entries may be executed before and after."""

    ref_id: str
    portfolio_id: str
    type: CashType
    amount: str
    executed_at: datetime
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
        "created_at": format_time(entry.created_at),
    }
