"""Booking: what a trade makes of a portfolio's holdings and cash."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.quotes import Quote
from trimtab.kernel import ids
from trimtab.kernel.money import CONTEXT, ZERO, to_money
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Execution, Holding, SecurityType, Side, TradeStatus, fold
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.ports import Ledger
from trimtab.portfolios.rebalancing.orders import Order


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


def booked_together(ledger: Ledger, portfolio: Portfolio, trades: Sequence[Trade], now: datetime) -> Portfolio:
    """The portfolio's holdings and cash with these new trades, at most one of a symbol.

    Its version is left to who writes it. `Unprocessable` where a quantity would be negative. Cash may come out below
    zero, for what somebody else has paid is paid: whether that may stay is the caller's business.
    """
    if not trades:
        return portfolio
    holdings, cash = [], portfolio.cash or ZERO
    quotes = ledger.quotes(sorted({trade.symbol for trade in trades}))
    for trade in trades:
        holding = portfolio.holdings.get(trade.symbol, Holding(trade.symbol, trade.security_type))
        quote = quotes.get(trade.symbol)
        added = _added(holding, quote, trade.execution, now) if trade.execution else None
        holdings.append(added or _folded(ledger, portfolio, quote, trade, now))
        cash += trade.cash_change
    after = portfolio.booked(now, holdings=holdings, cash=max(cash, ZERO))
    return replace(after, cash=cash, version=portfolio.version)


class Movement(Struct, frozen=True):
    """Something bought or sold that no client recorded; `paid` is amount and fees, None for an adjustment of what is
    held, which is entered at the average cost and moves no cash."""

    ref_id: str
    symbol: str
    side: Side
    quantity: Decimal
    paid: tuple[Decimal, Decimal] | None = None


def trades_of_fills(portfolio: Portfolio, rebalance_id: str, orders: Iterable[Order], now: datetime) -> list[Trade]:
    """The trades that the fills of these orders are; the id of each is its order's."""
    fills = [
        Movement(each.client_order_id, each.symbol, each.side, each.filled, (each.amount, each.fees))
        for each in orders
        if each.filled
    ]
    return [trade_of(portfolio, rebalance_id, fill, now) for fill in fills]


def trade_of(portfolio: Portfolio, rebalance_id: str, it: Movement, now: datetime) -> Trade:
    """The trade that the movement is: it comes after everything that is recorded of its symbol."""
    holding = portfolio.holdings.get(it.symbol, Holding(it.symbol, SecurityType.STOCK))
    after_all = holding.last[0] + timedelta(microseconds=1) if holding.last else now
    amount, fees = it.paid or (to_money(CONTEXT.multiply(it.quantity, holding.average_cost or ZERO)), ZERO)
    trade = Trade(
        tenant_id=portfolio.tenant_id,
        portfolio_id=portfolio.portfolio_id,
        user_id=portfolio.user_id,
        ref_id=it.ref_id,
        side=it.side,
        security_type=holding.security_type,
        symbol=it.symbol,
        quantity=it.quantity,
        amount=amount,
        fees=fees,
        status=TradeStatus.SUCCESS,
        executed_at=max(now, after_all),
        request_hash=ids.fingerprint(it.ref_id),
        created_at=now,
        updated_at=now,
        moves_cash=it.paid is not None,
        rebalance_id=rebalance_id,
    )
    return trade.announced()


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
