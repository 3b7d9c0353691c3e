"""Request bodies and responses of the routes for cash."""

from datetime import datetime

from trimtab.contracts.fields import Model, Time
from trimtab.kernel.clock import format_time
from trimtab.portfolios.ledger.new_entries import NewCashEntry
from trimtab.portfolios.ledger.views import Amount, Answer, RefIdBody, stated_amount
from trimtab.portfolios.portfolio.cash import CashEntry, CashType


class MoveCash(Model):
    """Cash that comes in (`deposit`, `dividend`) or goes out (`withdrawal`, `fee`), now or at a past `executed_at`.

    Cash is tracked from the first entry on, or from the first planned rebalance, which starts at a balance of zero.
    Every later trade changes the balance, so a buy that is paid from outside needs a deposit first.
    """

    ref_id: RefIdBody
    type: CashType
    amount: Amount
    executed_at: Time | None = None

    def to_domain(self) -> NewCashEntry:
        """Return the entry to be recorded."""
        return NewCashEntry(self.ref_id, self.type, self.amount, self.executed_at)


class CashView(Model):
    """A cash entry, and the cash balance after the entry."""

    ref_id: str
    portfolio_id: str
    type: CashType
    amount: str
    balance: str
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
        "balance": f"{entry.balance:.2f}",
        "executed_at": format_time(entry.executed_at),
        "created_at": format_time(entry.created_at),
    }
