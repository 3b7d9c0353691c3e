"""The series of daily values of a portfolio: a pure function of trades, cash movements, splits and closes.

Basis (`BASIS`): a day ends at midnight UTC, and an entry on a day without a session (a deposit on a weekend) belongs to
the next trading day. A holding's value is its quantity times its last close on or before the day. Closes are stored
unadjusted, so splits between the close and the day are applied to the price. A holding without a close since 14 days
(`LOOK_BACK`) before its purchase is valued at the price of its last trade. A sell of more than the holding, which a
split that was entered later can make of a recorded sell, ends the holding.

External flows are money or holdings put in (above zero) or taken out (below zero). Dividends and fees are no flows but
results of the portfolio. A trade that moved no tracked cash (`moves_cash` is False) was paid from outside: a purchase
counts as a deposit of its cost, a sale as a withdrawal of its proceeds, so that returns stay right. Units that are
transferred from another account are a flow of their value at the start of the day, since inflows count from then: the
last close before the day, or the price at its end where there is none. Units transferred out are a flow of their value
at the end of the day. Free shares, write-offs, spin-offs and returns of capital are results.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from msgspec import Struct, field

from trimtab.analytics.domain.daily_value import CASH, DailyValue
from trimtab.contracts.portfolios import CashMovement, LedgerTrade
from trimtab.contracts.quotes import Split
from trimtab.kernel.money import CONTEXT, HUNDRED, PERCENT_PLACES, QUANTITY_PLACES, ZERO, apportion, to_places

LOOK_BACK = timedelta(days=14)
"""Maximum age of a close when a symbol is bought; the last close of a holding is carried without limit."""

EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
"""Wide enough for sums of products of a quantity and a price: values are exact."""

Closes = Mapping[str, Mapping[date, Decimal]]
"""Unadjusted closes by symbol and day."""


def compute_daily_values(
    trades: Iterable[LedgerTrade],
    movements: Iterable[CashMovement],
    splits: Mapping[str, Sequence[Split]],
    closes: Closes,
    days: Iterable[date],
    *,
    start: DailyValue | None = None,
) -> list[DailyValue]:
    """Return one value for each trading day in `days`, from the first day with an entry on.

    With `start`, return the days after it. Entries up to that day are ignored, so extending a series gives the same
    values as recomputing all of it. `closes` must reach back `LOOK_BACK` before the first day.
    """
    wanted = sorted(day for day in set(days) if start is None or day > start.day)
    entries = list(_entries(trades, movements, splits, after=start.day if start else None))
    state = _SeriesState(splits, {symbol: sorted(by_day) for symbol, by_day in closes.items()}, closes)
    if start is not None:
        state.resume(start)
    found, done = [], 0
    for day in wanted:
        reached = done
        while reached < len(entries) and entries[reached].day <= day:
            reached += 1
        today, done = entries[done:reached], reached
        if today:
            state.apply(today)
        if start is not None or done:
            found.append(state.close(day))
    return found


class _Entry(Struct, frozen=True):
    """A split, trade or cash movement in order of time; at one instant splits come first, then buys, then sells.

    Buys, or sells, of one instant are ordered by their `values`, never by ids.
    """

    at: datetime
    rank: int
    values: tuple[Decimal, ...]
    symbol: str
    change: Split | LedgerTrade | CashMovement

    @property
    def day(self) -> date:
        return self.at.astimezone(UTC).date()


def _entries(
    trades: Iterable[LedgerTrade],
    movements: Iterable[CashMovement],
    splits: Mapping[str, Sequence[Split]],
    after: date | None,
) -> Iterator[_Entry]:
    bought = [
        _Entry(
            trade.executed_at,
            1 if trade.quantity > 0 else 2,
            (abs(trade.quantity), trade.amount, trade.proceeds, Decimal(trade.is_transfer)),
            trade.symbol,
            trade,
        )
        for trade in trades
    ]
    cash = [_Entry(movement.at, 3, (), "", movement) for movement in movements]
    symbols = {entry.symbol for entry in bought} if after is None else set(splits)
    split = [
        _Entry(split.effective_at, 0, (), symbol, split)
        for symbol in sorted(symbols)
        for split in splits.get(symbol, ())
    ]
    for entry in sorted((*split, *bought, *cash), key=lambda entry: (entry.at, entry.rank, entry.values)):
        if after is None or entry.day > after:
            yield entry


class _SeriesState(Struct):
    """Holdings, prices and cash between two days; resumable from any daily value."""

    splits: Mapping[str, Sequence[Split]]
    close_days: Mapping[str, Sequence[date]]
    closes: Closes
    quantities: dict[str, Decimal] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    traded: set[str] = field(default_factory=set)
    transferred: dict[str, Decimal] = field(default_factory=dict)
    cash: Decimal = ZERO
    flow: Decimal = ZERO

    def resume(self, start: DailyValue) -> None:
        self.quantities = dict(start.quantities)
        self.prices = dict(start.prices)
        self.traded = set(start.at_trade_price)
        self.cash = start.cash

    def apply(self, entries: Sequence[_Entry]) -> None:
        for entry in entries:
            match entry.change:
                case Split() as split:
                    self._apply_split(entry.symbol, split)
                case CashMovement() as movement:
                    self.cash += movement.amount
                    self.flow += movement.amount if movement.is_external else ZERO
                case LedgerTrade() as trade:
                    self._apply_trade(trade)

    def _apply_split(self, symbol: str, split: Split) -> None:
        if symbol in self.quantities:
            self.quantities[symbol] = split.of(self.quantities[symbol])
        if symbol in self.transferred:
            self.transferred[symbol] = split.of(self.transferred[symbol])
        if symbol in self.prices:
            self.prices[symbol] = _split_price(self.prices[symbol], split)

    def _apply_trade(self, trade: LedgerTrade) -> None:
        if trade.moves_cash:
            self.cash += trade.proceeds
        else:
            self.flow -= trade.proceeds
        if not trade.quantity:
            return
        held = self.quantities.get(trade.symbol, ZERO)
        self.quantities[trade.symbol] = max(held + trade.quantity, ZERO)
        if trade.is_transfer:
            moved = self.quantities[trade.symbol] - held
            self.transferred[trade.symbol] = self.transferred.get(trade.symbol, ZERO) + moved
        if trade.symbol not in self.prices or (trade.symbol in self.traded and trade.amount):
            price = CONTEXT.divide(trade.amount, abs(trade.quantity))
            self.prices[trade.symbol] = to_places(price, QUANTITY_PLACES)
            self.traded.add(trade.symbol)

    def close(self, day: date) -> DailyValue:
        """Return the value at the end of the day; sold symbols and their prices are dropped."""
        self.quantities = {symbol: held for symbol, held in sorted(self.quantities.items()) if held}
        symbols = self.quantities.keys() | self.transferred.keys()
        opening = {
            symbol: found[1]
            for symbol, units in self.transferred.items()
            if units > 0 and (found := self._find_close(symbol, day - timedelta(days=1), day))
        }
        outdated = {symbol for symbol in symbols if not self._update_price(symbol, day)}
        stale = [symbol for symbol in self.quantities if symbol in outdated]
        with localcontext(EXACT):
            prices = {**self.prices, **opening}
            self.flow += sum((units * prices[symbol] for symbol, units in self.transferred.items()), ZERO)
        self.transferred = {}
        self.prices = {symbol: self.prices[symbol] for symbol in self.quantities}
        self.traded &= self.quantities.keys()
        with localcontext(EXACT):
            values = {symbol: held * self.prices[symbol] for symbol, held in self.quantities.items()}
            values[CASH] = self.cash
            total = sum(values.values(), ZERO)
            weights = apportion(HUNDRED, values, PERCENT_PLACES) if total > 0 else {}
        flow, self.flow = self.flow, ZERO
        return DailyValue(
            day=day,
            value=total,
            cash=self.cash,
            flow=flow,
            weights=weights,
            quantities=dict(self.quantities),
            prices=dict(self.prices),
            stale=tuple(stale),
            at_trade_price=tuple(symbol for symbol in stale if symbol in self.traded),
        )

    def _update_price(self, symbol: str, day: date) -> bool:
        """Take the last close on or before the day, else keep the carried price; True for a close of that very day."""
        found = self._find_close(symbol, day, day)
        if found is None:
            return False
        close_day, self.prices[symbol] = found
        self.traded.discard(symbol)
        return close_day == day

    def _find_close(self, symbol: str, last: date, day: date) -> tuple[date, Decimal] | None:
        """Return the last close on or before `last` with its day, as the price of a unit at the end of `day`."""
        days = self.close_days.get(symbol, ())
        place = bisect_right(days, last)
        if not place or days[place - 1] < day - LOOK_BACK:
            return None
        found = days[place - 1]
        price = self.closes[symbol][found]
        for split in sorted(self.splits.get(symbol, ()), key=lambda split: split.effective_at):
            if found < split.effective_at.astimezone(UTC).date() <= day:
                price = _split_price(price, split)
        return found, price


def _split_price(price: Decimal, split: Split) -> Decimal:
    """Return the price of one unit after the split, 9 places."""
    return to_places(split.unit_price(price), QUANTITY_PLACES)
