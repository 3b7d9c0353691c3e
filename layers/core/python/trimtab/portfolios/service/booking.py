"""Booking: what a trade makes of a portfolio's holdings and cash."""

from datetime import datetime

from trimtab.contracts.quotes import Quote
from trimtab.kernel.money import ZERO
from trimtab.portfolios.domain.ledger import Execution, Holding, fold
from trimtab.portfolios.domain.portfolio import Portfolio
from trimtab.portfolios.domain.trades import Trade
from trimtab.portfolios.service.ports import Ledger


class TooManyTrades(Exception):
    """More trades would have to be folded than was allowed."""


def booked(
    ledger: Ledger,
    portfolio: Portfolio,
    quote: Quote | None,
    before: Trade | None,
    after: Trade,
    *,
    now: datetime,
    most: int | None = None,
) -> tuple[Trade, Portfolio]:
    """The trade as it is `after`, settled, and the portfolio with it in place of what it was `before`.

    A trade that is the next one of its symbol is added. For any other the holding is folded anew from all trades;
    raises `TooManyTrades` where those are more than `most`.
    """
    portfolio.require_tradable(now)
    cash = portfolio.cash
    after = after.settled(before, cash_is_tracked=cash is not None)
    if cash is not None:
        cash += after.cash_change - (before.cash_change if before else ZERO)
    if after.execution is None and (before is None or before.execution is None):
        return after, portfolio.booked(now, cash=cash)
    holding = portfolio.holdings.get(after.symbol, Holding(after.symbol, after.security_type))
    was_in = before is not None and before.execution is not None
    added = None if was_in or after.execution is None else _added(holding, quote, after.execution, now)
    if added is None and most is not None and holding.trades > most:
        raise TooManyTrades
    holding = added or _folded(ledger, portfolio, quote, after, now)
    return after, portfolio.booked(now, holdings=[holding], cash=cash)


def _added(holding: Holding, quote: Quote | None, trade: Execution, now: datetime) -> Holding | None:
    """The holding with the trade added, None where it is not simply the next one."""
    splits = holding.pending_splits(quote.splits if quote else (), min(now, trade.executed_at))
    if splits is None or not holding.follows(trade):
        return None
    for split in splits:
        holding = holding.split(split)
    return holding.after(trade)


def _folded(ledger: Ledger, portfolio: Portfolio, quote: Quote | None, changed: Trade, now: datetime) -> Holding:
    others = ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, changed.symbol)
    trades = [trade for trade in others if trade.ref_id != changed.ref_id] + [changed]
    splits = [split for split in (quote.splits if quote else ()) if split.effective_at <= now]
    executions = [trade.execution for trade in trades if trade.execution is not None]
    return fold(Holding(changed.symbol, changed.security_type), executions, splits)
