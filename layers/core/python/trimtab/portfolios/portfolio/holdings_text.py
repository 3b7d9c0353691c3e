"""Holdings as one text of an item: a map of maps would cost three times the time and twice the size."""

from collections.abc import Iterable
from decimal import Decimal

from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType


def pack(holdings: Iterable[Holding]) -> str | None:
    """The text of the holdings, a row a symbol: the reference id is the last column, it alone may hold a bar."""
    rows = [
        "|".join(
            (
                it.symbol,
                it.security_type.value,
                plain(it.quantity),
                plain(it.cost),
                plain(it.realised),
                format_time(it.last[0]) if it.last else "",
                str(it.trades),
                str(it.splits),
                format_time(it.split_at) if it.split_at else "",
                it.last[1] if it.last else "",
            )
        )
        for it in holdings
    ]
    return "\n".join(rows) or None


def unpack(text: str) -> list[Holding]:
    """The holdings of the text."""
    return [_unpack_holding(row.split("|", 9)) for row in text.split("\n") if row]


def _unpack_holding(row: list[str]) -> Holding:
    symbol, kind, quantity, cost, realised, last_at, trades, splits, split_at, last_ref = row
    return Holding(
        symbol=symbol,
        security_type=SecurityType(kind),
        quantity=Decimal(quantity),
        cost=Decimal(cost),
        realised=Decimal(realised),
        last=(parse_time(last_at), last_ref) if last_at else None,
        trades=int(trades),
        splits=int(splits),
        split_at=parse_time(split_at) if split_at else None,
    )
