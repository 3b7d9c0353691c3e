"""Importing trades: all rows are checked first, then written in chunks, each of which is whole."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from trimtab.contracts.quotes import Split
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import ZERO
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.portfolios.ledger.service import NewTrade, owned
from trimtab.portfolios.ledger.trades import MAX_CLOCK_LEAD, Trade
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, Side, fold
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.ports import Ledger

CHUNK = 90


class Row(Struct, frozen=True):
    """A trade and the line of the file on which it stands."""

    line: int
    trade: NewTrade


class Imported(Struct, frozen=True):
    """How many rows were written now, and how many stood there already."""

    recorded: int
    already_recorded: int


class Imports(Struct, frozen=True):
    """Imports of trades. Repeating the same file completes it, or changes nothing."""

    ledger: Ledger
    clock: Clock

    def run(self, caller: Caller, portfolio_id: str, rows: Sequence[Row]) -> Imported:
        """Writes the rows that are not there yet; nothing at all unless every one of them can be written."""
        missing_at_first: list[int] = []

        def attempt() -> None:
            now = self.clock()
            portfolio, _ = self.ledger.portfolio_and_trade(caller.tenant_id, portfolio_id, rows[0].trade.ref_id)
            portfolio = owned(portfolio, caller)
            new = self._missing(portfolio, rows, now)
            missing_at_first.append(len(new))
            if new:
                portfolio.require_tradable(now)
                for trades, after in self._chunks(portfolio, new, now):
                    self.ledger.put(*trades, after)

        retrying_on_conflict(attempt)
        return Imported(missing_at_first[0], len(rows) - missing_at_first[0])

    def _missing(self, portfolio: Portfolio, rows: Sequence[Row], now: datetime) -> list[Trade]:
        """The trades that are not recorded yet; `Conflict` where one is recorded with another body."""
        stored = self.ledger.some_trades(
            portfolio.tenant_id, portfolio.portfolio_id, [row.trade.ref_id for row in rows]
        )
        reused = [row for row in rows if _differs(stored.get(row.trade.ref_id), row.trade)]
        if reused:
            errors = [{"field": f"line {row.line}: ref_id", "detail": "It came with another body."} for row in reused]
            raise Conflict("ref_id_reused", "Some rows came with another body before; see errors.", errors=errors)
        ahead = [row for row in rows if row.trade.executed_at and row.trade.executed_at > now + MAX_CLOCK_LEAD]
        if ahead:
            errors = [{"field": f"line {row.line}: executed_at", "detail": "It lies ahead."} for row in ahead]
            raise Unprocessable("executed_at_in_future", "Some rows have not happened yet; see errors.", errors=errors)
        new = [row.trade for row in rows if row.trade.ref_id not in stored]
        # Rows without a time happened in the order in which they stand.
        return [trade.to_trade(portfolio, now + timedelta(microseconds=n)) for n, trade in enumerate(new)]

    def _chunks(
        self, portfolio: Portfolio, new: Sequence[Trade], now: datetime
    ) -> list[tuple[Sequence[Trade], Portfolio]]:
        """The chunks with the portfolio after each. What stands between two chunks must be right as well, so if the
        order of time does not do (later sells are recorded already), buys go first."""
        symbols = sorted({trade.symbol for trade in new})
        known = self.ledger.quotes(symbols)
        splits = {
            symbol: [split for split in known[symbol].splits if split.effective_at <= now] if symbol in known else []
            for symbol in symbols
        }
        recorded = {
            symbol: self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol)
            if symbol in portfolio.holdings
            else []
            for symbol in symbols
        }
        by_time = sorted(new, key=lambda trade: (trade.executed_at, trade.ref_id))
        try:
            return list(_booked(portfolio, by_time, recorded, splits, now))
        except Unprocessable:
            buys_first = sorted(by_time, key=lambda trade: trade.side is Side.SELL)
            return list(_booked(portfolio, buys_first, recorded, splits, now))


def _booked(
    portfolio: Portfolio,
    trades: Sequence[Trade],
    recorded: Mapping[str, list[Trade]],
    splits: Mapping[str, list[Split]],
    now: datetime,
) -> Iterator[tuple[Sequence[Trade], Portfolio]]:
    executions = {
        symbol: [trade.execution for trade in earlier if trade.execution is not None]
        for symbol, earlier in recorded.items()
    }
    for start in range(0, len(trades), CHUNK):
        cash = portfolio.cash
        chunk = [trade.settled(None, cash_is_tracked=cash is not None) for trade in trades[start : start + CHUNK]]
        touched: dict[str, SecurityType] = {}
        for trade in chunk:
            if trade.execution is not None:
                executions[trade.symbol].append(trade.execution)
                touched[trade.symbol] = trade.security_type
        if cash is not None:
            cash += sum((trade.cash_change for trade in chunk), ZERO)
        holdings = [
            fold(portfolio.holdings.get(symbol, Holding(symbol, kind)).emptied(), executions[symbol], splits[symbol])
            for symbol, kind in touched.items()
        ]
        portfolio = portfolio.booked(now, holdings=holdings, cash=cash)
        yield chunk, portfolio


def _differs(stored: Trade | None, new: NewTrade) -> bool:
    return stored is not None and stored.request_hash != new.request_hash()
