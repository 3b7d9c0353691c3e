"""Statements of brokers, read by preset into the entries of an import.

A statement without times of day gets fixed times in UTC, so that each import of a row gives the same entry: cash comes
in at 00:00, buys are at 20:00:00 (the close in New York in summer), sells at 20:00:01, and cash goes out at 23:59:59.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum

from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid, Refusal
from trimtab.kernel.ids import is_asset
from trimtab.kernel.money import ZERO, parse_number, plain
from trimtab.kernel.sessions import new_york_time
from trimtab.kernel.strict_csv import CsvRow, CsvText, DecimalMark, csv_row, plain_number
from trimtab.portfolios.ledger.file_entries import EntryKind, FileEntry, InvalidCell
from trimtab.portfolios.ledger.trades import gross_amount
from trimtab.portfolios.portfolio.cash import CashType
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeKind

_CASH_IN, _BUY, _SELL, _CASH_OUT = time(), time(20), time(20, 0, 1), time(23, 59, 59)


_CashTypes = tuple[CashType, CashType]
"""The type of an entry where cash comes in, and where cash goes out."""
_MOVED: _CashTypes = (CashType.DEPOSIT, CashType.WITHDRAWAL)
_INCOME: _CashTypes = (CashType.DIVIDEND, CashType.FEE)
_INTEREST: _CashTypes = (CashType.INTEREST, CashType.FEE)
_TAX: _CashTypes = (CashType.DIVIDEND, CashType.TAX)


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
    _MOVEMENTS: _MOVED,
    "Dividends": _INCOME,
    "Withholding Tax": _TAX,
    "Interest": _INTEREST,
    "Fees": _INCOME,
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
        return _unrecorded(row, row.section, row.cells.get("Description", ""), otherwise=_OTHER_ACTION)
    _require_cells(row)
    day = _day(row, "Settle Date" if row.section == _MOVEMENTS else "Date", _ISO_DAY)
    paid_by = _PAID_BY.match(row.cells.get("Description", ""))
    symbol = _ib_symbol(paid_by[1]) if paid_by else ""
    types, currency = _SECTION_TYPES[row.section], row.cells["Currency"]
    amount = _number(row, "Amount")
    return _cash_entry(row, row.section, amount, day, currency=currency, types=types, symbol=symbol)


def _interactive_brokers_trade(row: CsvRow) -> FileEntry:
    category, level = row.cells.get("Asset Category", ""), row.cells.get("DataDiscriminator", "")
    if category not in _ASSET_CATEGORIES or level != "Order":
        return FileEntry(row.line, f"{_TRADES}: {category if level == 'Order' else level}")
    _require_cells(row)
    quantity = _number(row, "Quantity")
    return _trade_entry(
        row,
        _TRADES,
        {
            "side": Side.BUY if quantity > 0 else Side.SELL,
            "security_type": _ASSET_CATEGORIES[category],
            "symbol": _ib_symbol(row.cells["Symbol"]),
            "quantity": plain(abs(quantity)),
            "amount": plain(abs(_number(row, "Proceeds"))),
            "fees": plain(-_number(row, "Comm/Fee")),
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
    values = (abs(_number(row, "Qty")), abs(_number(row, "Market Value")))
    asset = {"security_type": _ASSET_CATEGORIES[category], "symbol": _ib_symbol(row.cells["Symbol"])}
    day, currency = _day(row, "Date", _ISO_DAY), row.cells["Currency"]
    return _movement_entry(row, _TRANSFERS, kind, values, day, currency=currency, members=asset)


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
    **dict.fromkeys(("MoneyLink Transfer", "MoneyLink Deposit", "Wire Received", "Wire Sent"), _MOVED),
    **dict.fromkeys(("Funds Received", "Funds Paid"), _MOVED),
    **dict.fromkeys(("Qualified Dividend", "Cash Dividend", "Non-Qualified Div", "Reinvest Dividend"), _INCOME),
    **dict.fromkeys(("Qual Div Reinvest", "Special Dividend", "Long Term Cap Gain", "Short Term Cap Gain"), _INCOME),
    **dict.fromkeys(("Bank Interest", "Credit Interest", "Margin Interest"), _INTEREST),
    **dict.fromkeys(("NRA Tax Adj", "Foreign Tax Paid"), _TAX),
    **dict.fromkeys(("ADR Mgmt Fee", "Service Fee"), _INCOME),
}


_SCHWAB_UNITS = {"Security Transfer", "Journaled Shares"}
_SCHWAB_CAPITAL = "Return Of Capital"


def _schwab(row: CsvRow) -> FileEntry:
    action = row.cells["Action"]
    if action in _SCHWAB_UNITS or action == _SCHWAB_CAPITAL:
        return _schwab_movement(row, action)
    if action in _SCHWAB_CASH:
        day, symbol = _day(row, "Date", _SCHWAB_DAY), row.cells["Symbol"]
        amount, types = _number(row, "Amount"), _SCHWAB_CASH[action]
        return _cash_entry(row, action, amount, day, currency="USD", types=types, symbol=symbol)
    side = _SCHWAB_SIDES.get(action)
    if side is None:
        return _unrecorded(row, action or row.cells["Date"], action)
    fees = _number(row, "Fees & Comm", blank=ZERO)
    members = {
        "side": side,
        "symbol": row.cells["Symbol"],
        "quantity": plain(abs(_number(row, "Quantity"))),
        "amount": plain(_gross(side, abs(_number(row, "Amount")), fees)),
        "fees": plain(fees),
        "executed_at": _on(_day(row, "Date", _SCHWAB_DAY), _BUY if side is Side.BUY else _SELL),
    }
    return _trade_entry(row, action, members, "USD")


def _schwab_movement(row: CsvRow, action: str) -> FileEntry:
    if action == _SCHWAB_CAPITAL:
        kind, values = TradeKind.RETURN_OF_CAPITAL, (ZERO, _number(row, "Amount"))
    else:
        quantity, price = _number(row, "Quantity"), _number(row, "Price", blank=ZERO)
        kind = TradeKind.TRANSFER_IN if quantity > 0 else TradeKind.TRANSFER_OUT
        values = (abs(quantity), gross_amount(abs(quantity), price))
    day, asset = _day(row, "Date", _SCHWAB_DAY), {"symbol": row.cells["Symbol"]}
    return _movement_entry(row, action, kind, values, day, currency="USD", members=asset)


# Trading 212: the history of an account ---------------------------------------------------------------------------

_TRADING_212_COLUMNS = ("Action", "Time", "Ticker", "ID", "No. of shares", "Total", "Currency (Total)")
_TRADING_212_FEES = ("Charge amount", "Currency conversion fee", "Finra fee", "French transaction tax", "Stamp duty",
                     "Stamp duty reserve tax", "Transaction fee")  # fmt: skip
_TRADING_212_CASH = {
    "Deposit": _MOVED,
    "Withdrawal": _MOVED,
    "Dividend": _INCOME,
    "Interest on cash": _INTEREST,
    "Lending interest": _INTEREST,
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
        total, when = _number(row, "Total"), _utc_time(row, "Time")
        return _cash_entry(row, action, total, when, currency=currency, types=types, symbol=row.cells["Ticker"])
    if action in _TRADING_212_UNITS:
        quantity, price = _number(row, "No. of shares"), _number(row, "Price / share", blank=ZERO)
        kind, when = _TRADING_212_UNITS[action], _utc_time(row, "Time")
        values, members = (quantity, gross_amount(quantity, price)), {"symbol": row.cells["Ticker"]}
        members |= {"ref_id": row.cells["ID"]}
        return _movement_entry(row, action, kind, values, when, currency=currency, members=members)
    side = {"buy": Side.BUY, "sell": Side.SELL}.get(action.rpartition(" ")[2])
    if side is None:
        return _unrecorded(row, action, action)
    fees = sum((_fee(row, name, currency) for name in _TRADING_212_FEES), ZERO)
    members = {
        "ref_id": row.cells["ID"],
        "side": side,
        "symbol": row.cells["Ticker"],
        "quantity": plain(_number(row, "No. of shares")),
        "amount": plain(_gross(side, abs(_number(row, "Total")), fees)),
        "fees": plain(fees),
        "executed_at": format_time(_utc_time(row, "Time")),
    }
    return _trade_entry(row, action, members, currency)


def _fee(row: CsvRow, column: str, currency: str) -> Decimal:
    fee = abs(_number(row, column, blank=ZERO)) if column in row.cells else ZERO
    if fee and row.cells.get(f"Currency ({column})", currency) != currency:
        raise InvalidCell(column, f"The fee is not in {currency}, the currency of the total.")
    return fee


def _utc_time(row: CsvRow, column: str) -> datetime:
    try:
        return datetime.fromisoformat(row.cells[column]).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidCell(column, "Use a time such as 2026-01-05 14:31:12.") from None


# Cells and entries of any preset ----------------------------------------------------------------------------------


_ADVICE = {
    "spin": "Record a trade of the kind `spin_off`: the statement does not have the cost that moves from the parent.",
    "split": "The platform enters splits for all portfolios. Compare the holding with the statement after the import.",
}
"""How to record the rows of corporate actions, by a word of the action."""
_OTHER_ACTION = (
    "Record units that come in or go out as trades of the kinds `transfer_in`, `transfer_out`, `free_shares` or "
    "`write_off`."
)


def _unrecorded(row: CsvRow, label: str, action: str, otherwise: str = "") -> FileEntry:
    """Return a row that no import records, with the advice for its corporate action."""
    advice = (text for word, text in _ADVICE.items() if word in action.lower())
    return FileEntry(row.line, label, advice=next(advice, otherwise))


def _trade_entry(row: CsvRow, label: str, members: Mapping[str, str], currency: str) -> FileEntry:
    return FileEntry(row.line, label, EntryKind.TRADE, members, currency)


def _movement_entry(
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
    executed = format_time(when) if isinstance(when, datetime) else _on(when, _BUY if kind.side is Side.BUY else _SELL)
    members = {**members, "kind": kind.value, "executed_at": executed}
    members |= {"quantity": plain(quantity)} if kind.has_units else {}
    members |= {"amount": plain(amount)} if kind.has_amount else {}
    return _trade_entry(row, label, members, currency)


def _cash_entry(
    row: CsvRow, label: str, amount: Decimal, when: date, *, currency: str, types: _CashTypes, symbol: str
) -> FileEntry:
    """Return an entry of cash; the sign of the amount tells a deposit from a withdrawal, and income from a cost.

    Earlier releases recorded all income as `dividend` and all costs as `fee`, without a symbol.
    """
    is_in = amount > 0
    executed = format_time(when) if isinstance(when, datetime) else _on(when, _CASH_IN if is_in else _CASH_OUT)
    earlier_types = types if types == _MOVED else _INCOME
    earlier = {"type": earlier_types[not is_in].value, "amount": plain(abs(amount)), "executed_at": executed}
    if row.cells.get("ID"):
        earlier["ref_id"] = row.cells["ID"]
    members = {**earlier, "type": types[not is_in].value}
    if types != _MOVED and is_asset(symbol):
        members["symbol"] = symbol
    return FileEntry(row.line, label, EntryKind.CASH, members, currency, earlier=earlier)


def _gross(side: Side, net: Decimal, fees: Decimal) -> Decimal:
    return net - fees if side is Side.BUY else net + fees


def _on(day: date, time_of_day: time) -> str:
    return format_time(datetime.combine(day, time_of_day, UTC))


def _day(row: CsvRow, column: str, pattern: str) -> date:
    found = re.fullmatch(pattern, row.cells[column], re.ASCII)
    try:
        if found is None:
            raise ValueError
        return date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise InvalidCell(column, "The cell is not a day in the format of this preset.") from None


def _number(row: CsvRow, column: str, blank: Decimal | None = None) -> Decimal:
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
