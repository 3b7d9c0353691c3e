"""The payout of a withdrawal, posted in the transaction that completes the rebalance which raised the cash."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import ZERO
from trimtab.portfolios.ledger.new_entries import NewCashEntry
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus

_COMPLETED = frozenset({RebalanceStatus.COMPLETED, RebalanceStatus.COMPLETED_ADJUSTED})


class Payout(Struct, frozen=True):
    """The paid withdrawal: the rebalance that says so, the portfolio with less cash, and the cash entry.

    The versions of rebalance and portfolio are unchanged: the writer of both stores them once.
    """

    rebalance: Rebalance
    portfolio: Portfolio
    entry: CashEntry


def pay_out(rebalance: Rebalance, portfolio: Portfolio, now: datetime) -> Payout | None:
    """Return the payout of a completed rebalance, None without a withdrawal, or where the cash does not suffice.

    The id of the entry is derived from the rebalance, so the withdrawal is paid once.
    """
    withdrawal, cash = rebalance.withdrawal, portfolio.cash or ZERO
    if withdrawal is None or withdrawal.is_paid or rebalance.status not in _COMPLETED or cash < withdrawal.amount:
        return None
    new = NewCashEntry(withdrawal_ref_of(rebalance.rebalance_id), CashType.WITHDRAWAL, withdrawal.amount)
    entry = new.to_entry(portfolio, now)
    paid = replace(rebalance, withdrawal=replace(withdrawal, is_paid=True))
    return Payout(paid, portfolio.add_cash(entry.change, now), entry)


def withdrawal_ref_of(rebalance_id: str) -> str:
    """Return the `ref_id` of the cash entry that pays a withdrawal."""
    return f"withdrawal:{rebalance_id}"
