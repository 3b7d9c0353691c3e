"""Posting: the holdings and the cash of a portfolio after new or corrected trades.

A holding is updated in one of two ways with the same result: a trade later than all others is appended to the
holding; in any other case the holding is folded again from all trades of its symbol.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from trimtab.contracts.quotes import Quote, Split
from trimtab.portfolios.ledger.cash_posting import change_cash
from trimtab.portfolios.ledger.history import TooManyEntries
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, TradeEffect, fold
from trimtab.portfolios.portfolio.model import Portfolio


def post_trade(
    ledger: LedgerStore,
    portfolio: Portfolio,
    quotes: Mapping[str, Quote],
    before: Trade | None,
    after: Trade,
    *,
    now: datetime,
    max_fold: int | None = None,
) -> tuple[Trade, Portfolio]:
    """Return the trade as it is to be stored, and the portfolio with `after` in place of `before`.

    `before` is None for a new trade; `quotes` has the quotes of both symbols. Raises `TooManyEntries` where more than
    `max_fold` trades have to be folded, or entries summed, `Conflict` where the portfolio is closed, stale or locked,
    and `Unprocessable` where a quantity or tracked cash would be negative at any time.
    """
    portfolio.require_tradable(now)
    after = after.with_cash_effect(before, cash_is_tracked=portfolio.cash is not None)
    replaces = before is not None and before.effect is not None
    if after.effect is None and not replaces:
        return after, portfolio.post(now)
    revisions = [(-1, before), (1, after)] if before else [(1, after)]
    changes = [(trade.executed_at, sign * trade.cash_change(portfolio.cash_rule)) for sign, trade in revisions]
    splits, holdings = map_splits(quotes), []
    legs_before = {leg.symbol: leg for leg in before.legs} if before is not None and replaces else {}
    legs_after = {leg.symbol: leg for leg in after.legs}
    keys = {leg.sort_key for leg in after.legs}

    def load_other_trades(holding: Holding) -> list[Trade]:
        if max_fold is not None and holding.trade_count > max_fold:
            raise TooManyEntries
        trades = ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, holding.symbol)
        return [trade for trade in trades if trade.sort_key not in keys]

    for symbol in dict.fromkeys([*legs_before, *legs_after]):
        holding = find_holding(portfolio, symbol, after.security_type)
        load = partial(load_other_trades, holding)
        if legs_before:
            others, revised = load(), (legs_before.get(symbol), legs_after.get(symbol))
            then, corrected = ([*others, *([trade] if trade else [])] for trade in revised)
            holdings.append(fold_correction(holding, then, corrected, splits.get(symbol, ()), now))
        else:
            holdings.append(add_trades(holding, [legs_after[symbol]], splits.get(symbol, ()), now, load))
    return after, change_cash(ledger, portfolio, changes, most=max_fold).post(now, holdings=holdings)


def post_fills(ledger: LedgerStore, portfolio: Portfolio, trades: Sequence[Trade], now: datetime) -> Portfolio:
    """Return the portfolio with the trades of a rebalance in its holdings and cash, its version unchanged.

    At most one trade for each symbol. Raises `Unprocessable` where a quantity would be negative. The cash of the
    result may be negative: a fill cannot be refused, so the caller decides what a negative balance means.
    """
    if not trades:
        return portfolio
    quotes = ledger.quotes(sorted({trade.symbol for trade in trades}))

    def load_trades(symbol: str) -> list[Trade]:
        return ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol)

    holdings = update_holdings(portfolio, trades, map_splits(quotes), now, load_trades)
    posted = portfolio.post(now, holdings=holdings, is_fill=True)
    for trade in trades:
        posted = posted.add_cash(trade.cash_change(portfolio.cash_rule), trade.executed_at)
    return replace(posted, version=portfolio.version)


def update_holdings(
    portfolio: Portfolio,
    new_trades: Iterable[Trade],
    splits: Mapping[str, Sequence[Split]],
    now: datetime,
    load_trades: Callable[[str], list[Trade]],
) -> list[Holding]:
    """Return the holdings changed by new trades, at most one for each symbol.

    `load_trades` returns the posted trades of a symbol, and is called only where a fold is needed.
    """
    by_symbol: dict[str, list[Trade]] = {}
    for trade in new_trades:
        if trade.effect is not None:
            by_symbol.setdefault(trade.symbol, []).append(trade)
    return [
        add_trades(
            find_holding(portfolio, symbol, trades[0].security_type),
            trades,
            splits.get(symbol, ()),
            now,
            partial(load_trades, symbol),
        )
        for symbol, trades in by_symbol.items()
    ]


def add_trades(
    holding: Holding,
    new_trades: Sequence[Trade],
    splits: Sequence[Split],
    now: datetime,
    load_trades: Callable[[], list[Trade]],
) -> Holding:
    """Return the holding with new trades of its symbol: appended where possible, else folded from all trades.

    `load_trades` returns the posted trades of the symbol, and is called only where a fold is needed.

    >>> from datetime import UTC
    >>> from decimal import Decimal
    >>> from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
    >>> def buy(ref_id, day, quantity, amount):
    ...     at, ids = datetime(2026, 1, day, tzinfo=UTC), ("tenant", "portfolio", "user", ref_id)
    ...     what = (Side.BUY, SecurityType.STOCK, "AAPL", Decimal(quantity), Decimal(amount), Decimal(0))
    ...     return Trade(*ids, *what, TradeStatus.SUCCESS, at, "1:0", at, at)
    >>> empty, now = Holding("AAPL", SecurityType.STOCK), datetime(2026, 1, 31, tzinfo=UTC)
    >>> first = buy("t1", 5, 10, 1000)
    >>> holding = add_trades(empty, [first], [], now, load_trades=list)  # appended: nothing is loaded
    >>> holding = add_trades(holding, [buy("t0", 2, 10, 800)], [], now, load_trades=lambda: [first])  # folded
    >>> holding.quantity, holding.average_cost, holding.last_trade[1]
    (Decimal('20'), Decimal('90.000000000'), 't1')
    """
    updated, in_order = holding, sorted(_effects(new_trades), key=lambda effect: effect.sort_key)
    for trade in in_order:
        pending = updated.pending_splits(splits, min(now, trade.executed_at))
        if pending is None or not holding.can_append(in_order[0]):
            return fold_trades(holding, [*load_trades(), *new_trades], splits, now)
        for split in pending:
            updated = updated.with_split(split)
        updated = updated.with_trade(trade)
    return updated


def fold_trades(
    holding: Holding, trades: Iterable[Trade], splits: Sequence[Split], now: datetime, *, may_oversell: bool = False
) -> Holding:
    """Return the holding folded from all trades of its symbol and the splits effective by `now`."""
    effective = [split for split in splits if split.effective_at <= now]
    return fold(holding.without_trades(), _effects(trades), effective, may_oversell=may_oversell)


def fold_correction(
    holding: Holding, before: Sequence[Trade], after: Sequence[Trade], splits: Sequence[Split], now: datetime
) -> Holding:
    """Return the holding after a correction of its trades, which must not let sells exceed it by more than before.

    `before` and `after` are all trades of the symbol. Raises `Unprocessable` (`insufficient_quantity`).
    """
    oversold = fold_trades(holding, before, splits, now, may_oversell=True).oversold
    corrected = fold_trades(holding, after, splits, now, may_oversell=bool(oversold))
    return corrected if corrected.oversold <= oversold else fold_trades(holding, after, splits, now)


def find_holding(portfolio: Portfolio, symbol: str, security_type: SecurityType) -> Holding:
    """Return the portfolio's holding of a symbol, an empty one where the symbol was never held."""
    return portfolio.holdings.get(symbol, Holding(symbol, security_type))


def map_splits(quotes: Mapping[str, Quote]) -> dict[str, Sequence[Split]]:
    """Return the splits of each quoted symbol."""
    return {symbol: quote.splits for symbol, quote in quotes.items()}


def _effects(trades: Iterable[Trade]) -> list[TradeEffect]:
    return [trade.effect for trade in trades if trade.effect is not None]
