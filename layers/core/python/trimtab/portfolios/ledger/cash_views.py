"""Request bodies and responses of the routes for cash."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import StrictBool, model_validator

from trimtab.contracts.fields import Asset, Model, Time
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import money_text
from trimtab.kernel.errors import Invalid, Unprocessable
from trimtab.kernel.money import ZERO, decimals_text
from trimtab.portfolios.ledger.new_entries import NewCashEntry
from trimtab.portfolios.ledger.views import Amount, Answer, RefIdBody
from trimtab.portfolios.portfolio.cash import CashEntry, CashType, require_symbol_allowed


class MoveCash(Model):
    """Cash that comes in (`deposit`, `dividend`, `interest`) or goes out (`withdrawal`, `fee`, `tax`).

    `symbol` names the asset of an income or a cost. Record a dividend gross, and the tax withheld on the dividend as a
    `tax` with the same symbol. Without `executed_at` the time of recording is used.

    Balances follow from the times of execution, in any order of entry. Unless the portfolio's `cash_tracking` says
    otherwise, trades executed since the earliest entry change cash, and an entry that makes cash negative at any
    instant is refused (422 `insufficient_cash`).
    """

    ref_id: RefIdBody
    """The id of the entry in your system, unique among the cash entries of the portfolio: a repeat with the same values
    gets the first response. `import` is reserved. Example: `bank-17`"""
    type: CashType
    """The kind of the entry; it decides whether cash comes in (`deposit`, `dividend`, `interest`) or goes out
    (`withdrawal`, `fee`, `tax`)."""
    amount: Amount
    """The amount in money, above 0 in either direction, up to 9 decimals. Example: `1000.00`"""
    executed_at: Time | None = None
    """The time at which the cash moved (RFC 3339), at most 5 minutes in the future. Default: the time of recording.
    Example: `2026-11-20T15:30:00Z`"""
    symbol: Asset | None = None
    """The symbol of the asset that earned the income or caused the cost; not allowed for deposits and withdrawals.
    Example: `AAPL`"""

    @model_validator(mode="after")
    def _require_symbol_allowed(self) -> "MoveCash":
        try:
            require_symbol_allowed(self.type, self.symbol)
        except Unprocessable as refusal:
            raise ValueError(refusal.detail) from None
        return self

    def to_domain(self) -> NewCashEntry:
        """Return the entry to be recorded."""
        return NewCashEntry(self.ref_id, self.type, self.amount, self.executed_at, self.symbol)


class CorrectCash(Model):
    """A correction of a cash entry; members that are left out keep their values. A void entry changes no balance."""

    type: CashType | None = None
    amount: Amount | None = None
    executed_at: Time | None = None
    is_void: StrictBool | None = None
    """True takes the entry out of all balances; false takes the entry back in. Example: `true`"""
    symbol: Asset | None = None

    def to_domain(self) -> dict[str, Any]:
        """Return the members to change, by name."""
        changes = {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        if not changes:
            raise Invalid("nothing_to_correct", "Send at least one of type, amount, executed_at, symbol and is_void.")
        return changes


class CashRevisionView(Model):
    """The members of a cash entry before a correction, with author and time of the correction."""

    revision: int
    """The number of this earlier revision, from 1. Example: `1`"""
    corrected_by: str
    """The subject of the token that made the correction. Example: `ops@example.com`"""
    corrected_at: datetime
    """The time of the correction (UTC)."""
    type: CashType
    symbol: str | None
    amount: str
    executed_at: datetime
    is_void: bool


class CashView(Model):
    """The present revision of a cash entry. Other entries may be executed before and after."""

    ref_id: str
    """The id of the entry: the one that was recorded, or that of a paid withdrawal. Example: `bank-17`"""
    portfolio_id: str
    type: CashType
    symbol: str | None
    """The symbol of the asset that earned the income or caused the cost; null for an entry without one. Example:
    `AAPL`"""
    amount: str
    """The amount in money as it was given, above 0 in either direction, with at least the decimals of the currency.
    Example: `1000.00`"""
    executed_at: datetime
    """The time at which the cash moved (UTC). Example: `2026-11-20T15:30:00Z`"""
    is_void: bool
    """True for an entry that changes no balance. Example: `false`"""
    import_id: str | None
    """The import that recorded the entry; null for other entries."""
    revision: int
    """The number of the present revision: 1 for an entry that was never corrected. Example: `1`"""
    history: list[CashRevisionView]
    """The earlier revisions, oldest first."""
    created_at: datetime


class CashList(Model):
    """A page of cash entries, latest execution first."""

    items: list[CashView]
    next_cursor: str | None


class IncomeRow(Model):
    """Income and costs of one symbol."""

    symbol: str | None
    """The symbol; null for entries without one, and in `total`. Example: `AAPL`"""
    dividends: str
    """Dividends in money, gross. Example: `12.30`"""
    interest: str
    """Interest in money. Example: `0.00`"""
    fees: str
    """Fees of cash entries in money, above zero. Example: `1.00`"""
    taxes: str
    """Taxes of cash entries in money, above zero. Example: `1.85`"""
    net: str
    """Dividends and interest less fees and taxes, in money. Example: `9.45`"""


class IncomeView(Model):
    """Income and cash costs executed in a period, by symbol. The fees of trades are part of the cost and the profit of
    the trades."""

    items: list[IncomeRow]
    """A row for each symbol with entries in the period, and one for the entries without a symbol."""
    total: IncomeRow
    """The sum over all rows."""


def income_view(entries: Sequence[CashEntry], currency: str) -> Answer:
    """Return an `IncomeView` of the entries that the owner did not move."""
    earned = [entry for entry in entries if not entry.is_external]
    symbols = sorted({entry.symbol for entry in earned}, key=lambda symbol: symbol or "")
    rows = [_income_row(symbol, [entry for entry in earned if entry.symbol == symbol], currency) for symbol in symbols]
    return {"items": rows, "total": _income_row(None, earned, currency)}


def _income_row(symbol: str | None, entries: Sequence[CashEntry], currency: str) -> Answer:
    def sum_of(type: CashType) -> str:
        return money_text(abs(sum((entry.change for entry in entries if entry.type is type), ZERO)), currency)

    return {
        "symbol": symbol,
        "dividends": sum_of(CashType.DIVIDEND),
        "interest": sum_of(CashType.INTEREST),
        "fees": sum_of(CashType.FEE),
        "taxes": sum_of(CashType.TAX),
        "net": money_text(sum((entry.change for entry in entries), ZERO), currency),
    }


def cash_view(entry: CashEntry) -> Answer:
    """Return a `CashView`."""
    return {
        "ref_id": entry.ref_id,
        "portfolio_id": entry.portfolio_id,
        "type": entry.type.value,
        "symbol": entry.symbol,
        "amount": decimals_text(entry.amount, entry.minor_units),
        "executed_at": format_time(entry.executed_at),
        "is_void": entry.is_void,
        "import_id": entry.import_id,
        "revision": entry.version,
        "history": [
            {
                "revision": number,
                "corrected_by": each.corrected_by,
                "corrected_at": format_time(each.corrected_at),
                "type": each.type.value,
                "symbol": each.symbol,
                "amount": decimals_text(each.amount, entry.minor_units),
                "executed_at": format_time(each.executed_at),
                "is_void": each.is_void,
            }
            for number, each in enumerate(entry.history, 1)
        ],
        "created_at": format_time(entry.created_at),
    }
