"""Rows of brokers' statements: their cells, and the entries of an import that they become.

A statement without times of day gets fixed times in UTC, so that each import of a row gives the same entry: cash comes
in at 00:00, buys are at 20:00:00 (the close in New York in summer), sells at 20:00:01, and cash goes out at 23:59:59.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal

from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Refusal
from trimtab.kernel.ids import is_asset
from trimtab.kernel.money import parse_number, plain
from trimtab.kernel.strict_csv import CsvRow, DecimalMark, plain_number
from trimtab.portfolios.ledger.file_entries import EntryKind, FileEntry, InvalidCell
from trimtab.portfolios.portfolio.cash import CashType
from trimtab.portfolios.portfolio.holdings import Side, TradeKind

_CASH_IN, BUY_TIME, SELL_TIME, _CASH_OUT = time(), time(20), time(20, 0, 1), time(23, 59, 59)

CashTypes = tuple[CashType, CashType]
"""The type of an entry where cash comes in, and where cash goes out."""
MOVED: CashTypes = (CashType.DEPOSIT, CashType.WITHDRAWAL)
INCOME: CashTypes = (CashType.DIVIDEND, CashType.FEE)
INTEREST: CashTypes = (CashType.INTEREST, CashType.FEE)
TAX: CashTypes = (CashType.DIVIDEND, CashType.TAX)


_ADVICE = {
    "spin": "Record a trade of the kind `spin_off`: the statement does not have the cost that moves from the parent.",
    "split": "The platform enters splits for all portfolios. Compare the holding with the statement after the import.",
}
"""The instruction for the user in an `unrecorded` row of a corporate action, by a word of the action."""
OTHER_ACTION = (
    "Record units that come in or go out as trades of the kinds `transfer_in`, `transfer_out`, `free_shares` or "
    "`write_off`."
)


def unrecorded_row(row: CsvRow, label: str, action: str, otherwise: str = "") -> FileEntry:
    """Return a row that no import records, with the advice for its corporate action."""
    advice = (text for word, text in _ADVICE.items() if word in action.lower())
    return FileEntry(row.line, label, advice=next(advice, otherwise))


def trade_entry(row: CsvRow, label: str, members: Mapping[str, str], currency: str) -> FileEntry:
    """Return an entry of a trade."""
    return FileEntry(row.line, label, EntryKind.TRADE, members, currency)


def movement_entry(
    row: CsvRow,
    label: str,
    kind: TradeKind,
    values: tuple[Decimal, Decimal],
    when: date,
    *,
    currency: str,
    members: Mapping[str, str],
) -> FileEntry:
    """Return a movement without a trade, with those of its values (quantity and amount) that its kind has.

    Units that come in at an unknown cost are left for the owner to record.
    """
    quantity, amount = values
    if kind.has_amount and not amount:
        advice = f"The row has no cost. Record a trade of the kind `{kind.value}` with the cost as `amount`."
        return FileEntry(row.line, label, advice=advice)
    executed = at_time_of_day(when, BUY_TIME if kind.side is Side.BUY else SELL_TIME)
    members = {**members, "kind": kind.value, "executed_at": executed}
    members |= {"quantity": plain(quantity)} if kind.has_units else {}
    members |= {"amount": plain(amount)} if kind.has_amount else {}
    return trade_entry(row, label, members, currency)


def cash_entry(
    row: CsvRow, label: str, amount: Decimal, when: date, *, currency: str, types: CashTypes, symbol: str
) -> FileEntry:
    """Return an entry of cash; the sign of the amount tells a deposit from a withdrawal, and income from a cost.

    Earlier releases recorded all income as `dividend` and all costs as `fee`, without a symbol.
    """
    is_in = amount > 0
    executed = at_time_of_day(when, _CASH_IN if is_in else _CASH_OUT)
    earlier_types = types if types == MOVED else INCOME
    earlier = {"type": earlier_types[not is_in].value, "amount": plain(abs(amount)), "executed_at": executed}
    if row.cells.get("ID"):
        earlier["ref_id"] = row.cells["ID"]
    members = {**earlier, "type": types[not is_in].value}
    if types != MOVED and is_asset(symbol):
        members["symbol"] = symbol
    return FileEntry(row.line, label, EntryKind.CASH, members, currency, earlier=earlier)


def gross_of(side: Side, net: Decimal, fees: Decimal) -> Decimal:
    """Return the amount without fees of a trade that took or brought the net amount."""
    return net - fees if side is Side.BUY else net + fees


def at_time_of_day(when: date, time_of_day: time) -> str:
    """Return the text of an instant, or of a day without a time at this time of day in UTC."""
    return format_time(when if isinstance(when, datetime) else datetime.combine(when, time_of_day, UTC))


def read_day(row: CsvRow, column: str, pattern: str) -> date:
    """Return the day of a cell; the pattern names the groups `y`, `m` and `d`. Raises `InvalidCell`."""
    found = re.fullmatch(pattern, row.cells[column], re.ASCII)
    try:
        if found is None:
            raise ValueError
        return date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise InvalidCell(column, "The cell is not a day in the format of this preset.") from None


def read_number(row: CsvRow, column: str, blank: Decimal | None = None) -> Decimal:
    """Return a number with a decimal point, with or without a dollar sign; zeros behind the 9th decimal are dropped."""
    cell = row.cells[column].replace("$", "", 1)
    if not cell and blank is not None:
        return blank
    try:
        number = plain_number(cell, DecimalMark.POINT)
        return parse_number(number.rstrip("0").rstrip(".") if "." in number else number)
    except ValueError as error:
        raise InvalidCell(column, str(error)) from None
    except Refusal as refusal:
        raise InvalidCell(column, refusal.detail) from None
