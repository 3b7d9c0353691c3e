"""Import of many trades or cash entries in one request.

All rows are validated before the first write. Rows are then written in chunks, because a DynamoDB transaction has at
most 100 items. A chunk is atomic; the whole import is not: after a failure between two chunks the earlier chunks stay
recorded, and repeating the import records the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.quotes import Split
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import ZERO
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.ledger.cash_posting import change_cash, require_tracking
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade
from trimtab.portfolios.ledger.posting import map_splits, update_holdings
from trimtab.portfolios.ledger.service import require_owned, resolve_amounts
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import MAX_CLOCK_LEAD, Trade
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio

ENTRIES_PER_CHUNK = 90

E = TypeVar("E")
Entry = TypeVar("Entry", NewTrade, NewCashEntry)
Chunk = tuple[list[Trade], Portfolio]
"""Trades of one transaction, and the portfolio after them."""


class ImportRow(Struct, Generic[E], frozen=True):
    """An entry of a file, its line number, and its currency (empty: that of the portfolio)."""

    line: int
    entry: E
    currency: str = ""


class ImportResult(Struct, frozen=True):
    """Numbers of rows: recorded by this import, and recorded earlier (skipped)."""

    recorded: int
    already_recorded: int


class TradeImporter(Struct, frozen=True):
    """Imports trades. Repeating an import is safe: recorded rows are skipped, missing rows are added."""

    ledger: LedgerStore
    clock: Clock

    def import_rows(self, caller: Caller, portfolio_id: str, rows: Sequence[ImportRow[NewTrade]]) -> ImportResult:
        """Record the rows that are not recorded yet.

        Raises, before anything is written, `Conflict` (`ref_id_reused`) if a `ref_id` was recorded with different
        values, and `Unprocessable` if a row is in the future or the rows together would make a quantity or tracked cash
        negative. After a failure between two chunks the earlier chunks stay recorded; repeat the import.
        """
        resolved = resolve_amounts(self.ledger, [row.entry for row in rows])
        rows = [replace(row, entry=entry) for row, entry in zip(rows, resolved, strict=True)]
        missing_at_first: list[int] = []

        def attempt() -> None:
            now = self.clock()
            portfolio = require_owned(self.ledger.portfolio(caller.tenant_id, portfolio_id), caller)
            missing = self._missing_trades(portfolio, rows, now)
            missing_at_first.append(len(missing))
            if missing:
                portfolio.require_tradable(now)
                for trades, after in self._plan_chunks(portfolio, missing, now):
                    self.ledger.put(*trades, after)

        retry_on_conflict(attempt)
        return ImportResult(missing_at_first[0], len(rows) - missing_at_first[0])

    def _missing_trades(self, portfolio: Portfolio, rows: Sequence[ImportRow[NewTrade]], now: datetime) -> list[Trade]:
        """Return the trades that are not recorded yet.

        Rows without `executed_at` get the present time plus one microsecond per row, so that they keep the file order.
        """
        recorded = self.ledger.some_trades(
            portfolio.tenant_id, portfolio.portfolio_id, [row.entry.ref_id for row in rows]
        )
        missing, ranks = _missing_entries(portfolio, rows, recorded, now), _tie_ranks(rows)
        return [
            new.to_trade(portfolio, now + timedelta(microseconds=n), ranks.get(new.ref_id, 0))
            for n, new in enumerate(missing)
        ]

    def _plan_chunks(self, portfolio: Portfolio, trades: Sequence[Trade], now: datetime) -> list[Chunk]:
        """Return the chunks in an order that keeps every intermediate state valid.

        Chunks follow the order of execution. If a holding would be negative after one of the chunks (because of a later
        sell that is recorded already), all buys are written before all sells. Cash is checked for all chunks together.
        """
        is_tracked = portfolio.cash is not None
        trades = [trade.with_cash_effect(None, cash_is_tracked=is_tracked) for trade in trades]
        changes = [(trade.executed_at, trade.cash_change(portfolio.cash_rule)) for trade in trades]
        portfolio = replace(portfolio, cash_rule=change_cash(self.ledger, portfolio, changes).cash_rule)
        splits = map_splits(self.ledger.quotes(sorted({leg.symbol for trade in trades for leg in trade.legs})))

        @cache
        def load_trades(symbol: str) -> list[Trade]:
            return self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol)

        by_time = sorted(trades, key=lambda trade: (trade.executed_at, trade.tie_rank, trade.side is Side.SELL))
        try:
            return list(_post_in_chunks(portfolio, by_time, splits, now, load_trades))
        except Unprocessable:
            buys_first = sorted(by_time, key=lambda trade: trade.side is Side.SELL)
            return list(_post_in_chunks(portfolio, buys_first, splits, now, load_trades))


def _tie_ranks(rows: Sequence[ImportRow[NewTrade]]) -> dict[str, int]:
    """Return the rank among the trades of one instant by `ref_id`: one more for each buy after a sell, zero left out.

    The rank keeps the order of the file: within a rank buys come before sells.
    """
    newest: dict[tuple[str, datetime], tuple[int, Side]] = {}
    ranks: dict[str, int] = {}
    for new in (row.entry for row in rows):
        if new.executed_at is not None:
            rank, side = newest.get((new.symbol, new.executed_at), (0, Side.BUY))
            rank += side is Side.SELL and new.side is Side.BUY
            newest[new.symbol, new.executed_at] = (rank, new.side)
            ranks[new.ref_id] = rank
    return {ref_id: rank for ref_id, rank in ranks.items() if rank}


class CashImporter(Struct, frozen=True):
    """Imports cash entries. Repeating an import is safe: recorded rows are skipped, missing rows are added."""

    ledger: LedgerStore
    clock: Clock

    def import_rows(self, caller: Caller, portfolio_id: str, rows: Sequence[ImportRow[NewCashEntry]]) -> ImportResult:
        """Record the rows that are not recorded yet, in chunks as trades are.

        Raises, before anything is written, `Conflict` (`ref_id_reused`) and `Unprocessable` like `TradeImporter`.
        """
        missing_at_first: list[int] = []

        def attempt() -> None:
            now = self.clock()
            portfolio = require_owned(self.ledger.portfolio(caller.tenant_id, portfolio_id), caller)
            place = (portfolio.tenant_id, portfolio.portfolio_id)
            recorded = self.ledger.some_cash_entries(*place, [row.entry.ref_id for row in rows])
            missing = _missing_entries(portfolio, rows, recorded, now)
            missing_at_first.append(len(missing))
            if any(entry.type.sign < 0 for entry in missing):
                portfolio.require_tradable(now)
            elif missing:
                portfolio.require_open_to_deposits()
            if missing:
                require_tracking(portfolio)
            for entries, after in self._plan_chunks(portfolio, missing, now):
                self.ledger.put(*entries, after)

        retry_on_conflict(attempt)
        return ImportResult(missing_at_first[0], len(rows) - missing_at_first[0])

    def _plan_chunks(
        self, portfolio: Portfolio, new: Sequence[NewCashEntry], now: datetime
    ) -> list[tuple[list[CashEntry], Portfolio]]:
        """Return the chunks by time.

        The first chunk also counts the trades that the earliest entry makes count. After a crash between two chunks
        cash can be below zero until the import is repeated; all chunks together keep cash at or above zero.
        """
        entries = sorted((each.to_entry(portfolio, now) for each in new), key=lambda entry: entry.executed_at)
        if not entries:
            return []
        after = change_cash(self.ledger, portfolio, entries=entries)
        recounted = (after.cash or ZERO) - (portfolio.cash or ZERO) - _sum_of(entries)
        portfolio = replace(portfolio, cash=(portfolio.cash or ZERO) + recounted, cash_rule=after.cash_rule)
        chunks = []
        for start in range(0, len(entries), ENTRIES_PER_CHUNK):
            chunk = entries[start : start + ENTRIES_PER_CHUNK]
            portfolio = replace(portfolio, cash=(portfolio.cash or ZERO) + _sum_of(chunk)).post(now)
            chunks.append((chunk, portfolio))
        return chunks


def _missing_entries(
    portfolio: Portfolio, rows: Sequence[ImportRow[Entry]], recorded: Mapping[str, Any], now: datetime
) -> list[Entry]:
    """Return the entries that are not recorded yet; raises a `Refusal` that names every row that cannot be recorded."""
    reused = [row for row in rows if row.entry.ref_id in recorded and not row.entry.matches(recorded[row.entry.ref_id])]
    if reused:
        errors = _row_errors(reused, "ref_id", "This ref_id was recorded with other values.")
        raise Conflict("ref_id_reused", "Some rows were recorded with other values; see `errors`.", errors=errors)
    latest = now + MAX_CLOCK_LEAD
    future = [row for row in rows if row.entry.executed_at and row.entry.executed_at > latest]
    if future:
        errors = _row_errors(future, "executed_at", "The time is more than 5 minutes in the future.")
        raise Unprocessable("executed_at_in_future", "Some rows are in the future; see `errors`.", errors=errors)
    foreign = [row for row in rows if row.currency not in {"", portfolio.currency}]
    if foreign:
        errors = _row_errors(foreign, "currency", f"The portfolio is in {portfolio.currency}.")
        raise Unprocessable("other_currency", "Some rows are in another currency; see `errors`.", errors=errors)
    return [row.entry for row in rows if row.entry.ref_id not in recorded]


def _row_errors(rows: Sequence[ImportRow[Entry]], field: str, detail: str) -> list[dict[str, str]]:
    return [{"field": f"line {row.line}: {field}", "detail": detail} for row in rows]


def _sum_of(entries: Iterable[CashEntry]) -> Decimal:
    return sum((entry.change for entry in entries), ZERO)


def _post_in_chunks(
    portfolio: Portfolio,
    trades: list[Trade],
    splits: Mapping[str, Sequence[Split]],
    now: datetime,
    load_trades: Callable[[str], list[Trade]],
) -> Iterator[Chunk]:
    posted: list[Trade] = []

    def load_posted(symbol: str) -> list[Trade]:
        return [*load_trades(symbol), *(trade for trade in posted if trade.symbol == symbol)]

    most_legs = max((len(trade.legs) for trade in trades), default=1)  # both items of a spin-off are in one chunk
    for start in range(0, len(trades), ENTRIES_PER_CHUNK // most_legs):
        chunk = [leg for trade in trades[start : start + ENTRIES_PER_CHUNK // most_legs] for leg in trade.legs]
        holdings = update_holdings(portfolio, chunk, splits, now, load_posted)
        change = sum((trade.cash_change(portfolio.cash_rule) for trade in chunk), ZERO)
        cash = None if portfolio.cash is None else portfolio.cash + change
        portfolio = replace(portfolio, cash=cash).post(now, holdings=holdings)
        posted += chunk
        yield chunk, portfolio
