"""Statements of brokers, read by preset into the entries of an import."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import ZERO, plain
from trimtab.kernel.sessions import new_york_time
from trimtab.kernel.strict_csv import CsvRow, CsvText, csv_row
from trimtab.portfolios.ledger.file_entries import FileEntry, InvalidCell
from trimtab.portfolios.ledger.statement_rows import (
    BUY_TIME,
    INCOME,
    INTEREST,
    MOVED,
    OTHER_ACTION,
    SELL_TIME,
    TAX,
    at_time_of_day,
    cash_entry,
    gross_of,
    movement_entry,
    read_day,
    read_number,
    trade_entry,
    unrecorded_row,
)
from trimtab.portfolios.ledger.trades import gross_amount
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeKind


class Preset(StrEnum):
    """The layout of a broker's export."""

    INTERACTIVE_BROKERS = "interactive_brokers"
    SCHWAB = "schwab"
    TRADING_212 = "trading_212"


def read_statement(preset: Preset, text: CsvText) -> Iterator[FileEntry]:
    """Yield the entries of a statement; raises `Invalid` (`invalid_header`) for a file of another layout."""
    match preset:
        case Preset.INTERACTIVE_BROKERS:
            return _entries(_sections(text), _interactive_brokers)
        case Preset.SCHWAB:
            return _entries(_table(text, _SCHWAB_COLUMNS), _schwab)
        case Preset.TRADING_212:
            return _entries(_table(text, _TRADING_212_COLUMNS), _trading_212)


def _entries(rows: Iterable[CsvRow], convert: Callable[[CsvRow], FileEntry]) -> Iterator[FileEntry]:
    for row in rows:
        if row.fault:
            yield FileEntry(row.line, fault=("", row.fault))
            continue
        try:
            yield convert(row)
        except InvalidCell as invalid:
            yield FileEntry(row.line, fault=invalid.fault)


def _table(text: CsvText, required: Sequence[str]) -> Iterator[CsvRow]:
    header, rows = text.rows()
    _require_columns(header, required)
    return rows


def _require_columns(header: Sequence[str], required: Iterable[str]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise Invalid("invalid_header", f"The file is not of this preset: it lacks the columns {', '.join(missing)}.")


# Interactive Brokers: an activity statement ----------------------------------------------------------------------

_TRADES, _TRANSFERS, _CORPORATE, _MOVEMENTS = "Trades", "Transfers", "Corporate Actions", "Deposits & Withdrawals"
_TRADE_COLUMNS = ("DataDiscriminator", "Asset Category", "Currency", "Symbol", "Date/Time", "Quantity", "Proceeds",
                  "Comm/Fee")  # fmt: skip
_SECTION_COLUMNS = {
    _TRADES: _TRADE_COLUMNS,
    _TRANSFERS: ("Asset Category", "Currency", "Symbol", "Date", "Direction", "Qty", "Market Value"),
    _CORPORATE: (),
    _MOVEMENTS: ("Currency", "Settle Date", "Amount"),
    **dict.fromkeys(("Dividends", "Withholding Tax", "Interest", "Fees"), ("Currency", "Date", "Amount")),
}
_SECTION_TYPES = {
    _MOVEMENTS: MOVED,
    "Dividends": INCOME,
    "Withholding Tax": TAX,
    "Interest": INTEREST,
    "Fees": INCOME,
}
_PAID_BY = re.compile(r"([A-Za-z0-9][A-Za-z0-9. ]{0,15})\([A-Z]{2}[A-Z0-9]{9}[0-9]\)")
"""The description of a dividend or of its tax begins with the symbol and the ISIN: `AAPL(US0378331005)`."""
_ISO_DAY = r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"
_ASSET_CATEGORIES = {
    "Stocks": SecurityType.STOCK,
    "Bonds": SecurityType.BOND,
    "Mutual Funds": SecurityType.FUND,
    "Crypto": SecurityType.CRYPTO,
}


def _sections(text: CsvText) -> Iterator[CsvRow]:
    """Yield the rows of the sections that hold entries; each line begins with its section and its kind."""
    headers: dict[str, list[str]] = {}
    for line, (section, *rest) in text.lines():
        if section not in _SECTION_COLUMNS or len(rest) < 2:
            continue
        kind, *cells = rest
        if kind == "Header":
            headers[section] = cells
        elif kind == "Data" and section in headers and not cells[0].startswith("Total"):
            yield csv_row(line, headers[section], cells, section)
    if not headers:
        raise Invalid("invalid_header", "The file is not of this preset: no line begins with `Trades,Header`.")


def _interactive_brokers(row: CsvRow) -> FileEntry:
    if row.section == _TRADES:
        return _interactive_brokers_trade(row)
    if row.section == _TRANSFERS:
        return _interactive_brokers_transfer(row)
    if row.section == _CORPORATE:
        return unrecorded_row(row, row.section, row.cells.get("Description", ""), otherwise=OTHER_ACTION)
    _require_cells(row)
    day = read_day(row, "Settle Date" if row.section == _MOVEMENTS else "Date", _ISO_DAY)
    paid_by = _PAID_BY.match(row.cells.get("Description", ""))
    symbol = _ib_symbol(paid_by[1]) if paid_by else ""
    types, currency = _SECTION_TYPES[row.section], row.cells["Currency"]
    amount = read_number(row, "Amount")
    return cash_entry(row, row.section, amount, day, currency=currency, types=types, symbol=symbol)


def _interactive_brokers_trade(row: CsvRow) -> FileEntry:
    category, level = row.cells.get("Asset Category", ""), row.cells.get("DataDiscriminator", "")
    if category not in _ASSET_CATEGORIES or level != "Order":
        return FileEntry(row.line, f"{_TRADES}: {category if level == 'Order' else level}")
    _require_cells(row)
    quantity = read_number(row, "Quantity")
    return trade_entry(
        row,
        _TRADES,
        {
            "side": Side.BUY if quantity > 0 else Side.SELL,
            "security_type": _ASSET_CATEGORIES[category],
            "symbol": _ib_symbol(row.cells["Symbol"]),
            "quantity": plain(abs(quantity)),
            "amount": plain(abs(read_number(row, "Proceeds"))),
            "fees": plain(-read_number(row, "Comm/Fee")),
            "executed_at": _new_york_time(row, "Date/Time"),
        },
        row.cells["Currency"],
    )


def _interactive_brokers_transfer(row: CsvRow) -> FileEntry:
    """Return a transfer of units; the market value stands for the cost, which the statement does not have."""
    category = row.cells.get("Asset Category", "")
    if category not in _ASSET_CATEGORIES:
        return FileEntry(row.line, f"{_TRANSFERS}: {category}")
    _require_cells(row)
    kind = TradeKind.TRANSFER_IN if row.cells["Direction"] == "In" else TradeKind.TRANSFER_OUT
    values = (abs(read_number(row, "Qty")), abs(read_number(row, "Market Value")))
    asset = {"security_type": _ASSET_CATEGORIES[category], "symbol": _ib_symbol(row.cells["Symbol"])}
    day, currency = read_day(row, "Date", _ISO_DAY), row.cells["Currency"]
    return movement_entry(row, _TRANSFERS, kind, values, day, currency=currency, members=asset)


def _ib_symbol(text: str) -> str:
    """Return the symbol; a class of shares is written with a blank: `BRK B`."""
    return text.replace(" ", ".")


def _require_cells(row: CsvRow) -> None:
    """Raise `InvalidCell` where the section lacks a column; only then, because tables of currencies have others."""
    for column in _SECTION_COLUMNS[row.section]:
        if column not in row.cells:
            raise InvalidCell(column, f"The header of the section {row.section} lacks this column.")


def _new_york_time(row: CsvRow, column: str) -> str:
    try:
        local = datetime.strptime(row.cells[column], "%Y-%m-%d, %H:%M:%S")  # noqa: DTZ007 - the zone is New York
    except ValueError:
        raise InvalidCell(column, "Use a time such as 2026-01-05, 09:31:12.") from None
    return format_time(new_york_time(local.date(), local.time()))


# Schwab: the history of an account -------------------------------------------------------------------------------

_SCHWAB_COLUMNS = ("Date", "Action", "Symbol", "Quantity", "Price", "Fees & Comm", "Amount")
_SCHWAB_DAY = r"(?:\d{2}/\d{2}/\d{4} as of )?(?P<m>\d{2})/(?P<d>\d{2})/(?P<y>\d{4})"
_SCHWAB_SIDES = {"Buy": Side.BUY, "Reinvest Shares": Side.BUY, "Sell": Side.SELL}
_SCHWAB_CASH = {
    **dict.fromkeys(("MoneyLink Transfer", "MoneyLink Deposit", "Wire Received", "Wire Sent"), MOVED),
    **dict.fromkeys(("Funds Received", "Funds Paid"), MOVED),
    **dict.fromkeys(("Qualified Dividend", "Cash Dividend", "Non-Qualified Div", "Reinvest Dividend"), INCOME),
    **dict.fromkeys(("Qual Div Reinvest", "Special Dividend", "Long Term Cap Gain", "Short Term Cap Gain"), INCOME),
    **dict.fromkeys(("Bank Interest", "Credit Interest", "Margin Interest"), INTEREST),
    **dict.fromkeys(("NRA Tax Adj", "Foreign Tax Paid"), TAX),
    **dict.fromkeys(("ADR Mgmt Fee", "Service Fee"), INCOME),
}


_SCHWAB_UNITS = {"Security Transfer", "Journaled Shares"}
_SCHWAB_CAPITAL = "Return Of Capital"


def _schwab(row: CsvRow) -> FileEntry:
    action = row.cells["Action"]
    if action in _SCHWAB_UNITS or action == _SCHWAB_CAPITAL:
        return _schwab_movement(row, action)
    if action in _SCHWAB_CASH:
        day, symbol = read_day(row, "Date", _SCHWAB_DAY), row.cells["Symbol"]
        amount, types = read_number(row, "Amount"), _SCHWAB_CASH[action]
        return cash_entry(row, action, amount, day, currency="USD", types=types, symbol=symbol)
    side = _SCHWAB_SIDES.get(action)
    if side is None:
        return unrecorded_row(row, action or row.cells["Date"], action)
    fees = read_number(row, "Fees & Comm", blank=ZERO)
    members = {
        "side": side,
        "symbol": row.cells["Symbol"],
        "quantity": plain(abs(read_number(row, "Quantity"))),
        "amount": plain(gross_of(side, abs(read_number(row, "Amount")), fees)),
        "fees": plain(fees),
        "executed_at": at_time_of_day(read_day(row, "Date", _SCHWAB_DAY), BUY_TIME if side is Side.BUY else SELL_TIME),
    }
    return trade_entry(row, action, members, "USD")


def _schwab_movement(row: CsvRow, action: str) -> FileEntry:
    if action == _SCHWAB_CAPITAL:
        kind, values = TradeKind.RETURN_OF_CAPITAL, (ZERO, read_number(row, "Amount"))
    else:
        quantity, price = read_number(row, "Quantity"), read_number(row, "Price", blank=ZERO)
        kind = TradeKind.TRANSFER_IN if quantity > 0 else TradeKind.TRANSFER_OUT
        values = (abs(quantity), gross_amount(abs(quantity), price))
    day, asset = read_day(row, "Date", _SCHWAB_DAY), {"symbol": row.cells["Symbol"]}
    return movement_entry(row, action, kind, values, day, currency="USD", members=asset)


# Trading 212: the history of an account ---------------------------------------------------------------------------

_TRADING_212_COLUMNS = ("Action", "Time", "Ticker", "ID", "No. of shares", "Total", "Currency (Total)")
_TRADING_212_FEES = ("Charge amount", "Currency conversion fee", "Finra fee", "French transaction tax", "Stamp duty",
                     "Stamp duty reserve tax", "Transaction fee")  # fmt: skip
_TRADING_212_CASH = {
    "Deposit": MOVED,
    "Withdrawal": MOVED,
    "Dividend": INCOME,
    "Interest on cash": INTEREST,
    "Lending interest": INTEREST,
}


_TRADING_212_UNITS = {
    "Transfer in": TradeKind.TRANSFER_IN,
    "Transfer out": TradeKind.TRANSFER_OUT,
    "Stock distribution": TradeKind.FREE_SHARES,
}


def _trading_212(row: CsvRow) -> FileEntry:
    action, currency = row.cells["Action"], row.cells["Currency (Total)"]
    types = next((types for name, types in _TRADING_212_CASH.items() if action.startswith(name)), None)
    if types is not None:
        total, when = read_number(row, "Total"), _utc_time(row, "Time")
        return cash_entry(row, action, total, when, currency=currency, types=types, symbol=row.cells["Ticker"])
    if action in _TRADING_212_UNITS:
        quantity, price = read_number(row, "No. of shares"), read_number(row, "Price / share", blank=ZERO)
        kind, when = _TRADING_212_UNITS[action], _utc_time(row, "Time")
        values, members = (quantity, gross_amount(quantity, price)), {"symbol": row.cells["Ticker"]}
        members |= {"ref_id": row.cells["ID"]}
        return movement_entry(row, action, kind, values, when, currency=currency, members=members)
    side = {"buy": Side.BUY, "sell": Side.SELL}.get(action.rpartition(" ")[2])
    if side is None:
        return unrecorded_row(row, action, action)
    fees = sum((_fee(row, name, currency) for name in _TRADING_212_FEES), ZERO)
    members = {
        "ref_id": row.cells["ID"],
        "side": side,
        "symbol": row.cells["Ticker"],
        "quantity": plain(read_number(row, "No. of shares")),
        "amount": plain(gross_of(side, abs(read_number(row, "Total")), fees)),
        "fees": plain(fees),
        "executed_at": format_time(_utc_time(row, "Time")),
    }
    return trade_entry(row, action, members, currency)


def _fee(row: CsvRow, column: str, currency: str) -> Decimal:
    fee = abs(read_number(row, column, blank=ZERO)) if column in row.cells else ZERO
    if fee and row.cells.get(f"Currency ({column})", currency) != currency:
        raise InvalidCell(column, f"The fee is not in {currency}, the currency of the total.")
    return fee


def _utc_time(row: CsvRow, column: str) -> datetime:
    try:
        return datetime.fromisoformat(row.cells[column]).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidCell(column, "Use a time such as 2026-01-05 14:31:12.") from None
