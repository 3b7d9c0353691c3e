"""Holdings of a portfolio as one text attribute: a JSON table whose columns are named once.

Every write of a portfolio rewrites its holdings, and DynamoDB charges a write unit for each kilobyte begun. A row of
the table takes about 80 bytes; a JSON object or a DynamoDB map for each holding would take two to three times as
many. The reader finds columns by name: a missing column is read as its default, an unknown one is ignored.

The text of one holding, without the line breaks:

    {"v": 1,
     "columns": ["symbol", "security_type", "quantity", "cost_basis", "realised_profit", "last_trade_at",
                 "last_trade_id", "trade_count", "split_count", "last_split_at"],
     "rows": [["AAPL", "stock", "6", "600", "100", "2026-01-02T00:00:00.000000Z", "t2", 2, 0, null]]}
"""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType

FORM_VERSION = 1


def pack(holdings: Iterable[Holding]) -> str | None:
    """Return the text of the holdings, None where there are none."""
    rows = [_to_row(holding) for holding in holdings]
    if not rows:
        return None
    table = {"v": FORM_VERSION, "columns": list(rows[0]), "rows": [list(row.values()) for row in rows]}
    return json.dumps(table, separators=(",", ":"))


def unpack(text: str) -> list[Holding]:
    """Return the holdings of a text written by `pack`; raises `ValueError` for a form of a newer release."""
    if not text:
        return []
    table = json.loads(text)
    match table["v"]:
        case 1:
            return [_from_row(dict(zip(table["columns"], row, strict=True))) for row in table["rows"]]
        case version:
            raise ValueError(f"Holdings are stored in form {version!r}; this release reads form {FORM_VERSION}.")


def _to_row(holding: Holding) -> dict[str, Any]:
    last_trade_at, last_trade_id = holding.last_trade or (None, None)
    return {
        "symbol": holding.symbol,
        "security_type": holding.security_type.value,
        "quantity": plain(holding.quantity),
        "cost_basis": plain(holding.cost_basis),
        "realised_profit": plain(holding.realised_profit),
        "last_trade_at": last_trade_at and format_time(last_trade_at),
        "last_trade_id": last_trade_id,
        "trade_count": holding.trade_count,
        "split_count": holding.split_count,
        "last_split_at": holding.last_split_at and format_time(holding.last_split_at),
    }


def _from_row(row: dict[str, Any]) -> Holding:
    return Holding(
        symbol=row["symbol"],
        security_type=SecurityType(row["security_type"]),
        quantity=Decimal(row["quantity"]),
        cost_basis=Decimal(row["cost_basis"]),
        realised_profit=Decimal(row["realised_profit"]),
        last_trade=(parse_time(row["last_trade_at"]), row["last_trade_id"]) if row["last_trade_at"] else None,
        trade_count=row["trade_count"],
        split_count=row["split_count"],
        last_split_at=parse_time(row["last_split_at"]) if row["last_split_at"] else None,
    )
