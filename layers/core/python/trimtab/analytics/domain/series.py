"""The daily value series of a portfolio: a pure function of what was traded, paid in and out, split and quoted.

The basis, named `BASIS`: a day ends at midnight UTC, and what happened on a day without a session (a weekend's
deposit) belongs to the next trading day. A holding is worth its quantity times its last close on or before the day;
closes are as traded, so splits that came between the close and the day are taken out of it. What has no close yet
since 14 days (`LOOK_BACK`) before it was bought is valued at the price of its last trade.

External flows are money (or holdings) that somebody put in or took out: deposits are above zero, withdrawals below.
Dividends and fees are none: they are what the portfolio earned and cost. A trade that moved no tracked cash
(`moves_cash` is false: the portfolio's cash was not tracked then, or the holding was entered as found) was paid from
outside: its whole cost is a deposit if it bought, its proceeds are a withdrawal if it sold, so that returns are right.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Protocol

from msgspec import Struct, field

from trimtab.contracts.quotes import Split
from trimtab.kernel.money import CONTEXT, HUNDRED, PERCENT_PLACES, QUANTITY_PLACES, ZERO, apportion, to_places

BASIS = "end_of_day_utc_last_close"
CASH = "$cash"
"""Cash among the weights of a portfolio; no symbol holds a dollar sign."""
BUY = "BUY"
LOOK_BACK = timedelta(days=14)
"""How old a close may be when a symbol is bought; the last close of what is held is carried on for ever."""

EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
"""Wide enough for sums of products of a quantity and a price: values are exact."""

Closes = Mapping[str, Mapping[date, Decimal]]
"""Unadjusted closes by symbol and day."""


class Execution(Protocol):
    """A successful trade. `side` is BUY or SELL; quantity has 9 places, amount (gross) and fees are money.

    `ref_id` breaks ties of `executed_at`; `moves_cash` says whether its money went through the tracked cash.
    """

    @property
    def ref_id(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def fees(self) -> Decimal: ...
    @property
    def executed_at(self) -> datetime: ...
    @property
    def moves_cash(self) -> bool: ...


class Movement(Struct, frozen=True):
    """Tracked cash that came (above zero) or went (below zero), in money.

    External are deposits, withdrawals and the cash a portfolio began with; dividends and fees are not.
    """

    at: datetime
    amount: Decimal
    is_external: bool


class Flow(Struct, frozen=True):
    """What was put in (above zero) or taken out (below zero) on a day, net, in money."""

    day: date
    amount: Decimal


class Snapshot(Struct, frozen=True):
    """A portfolio at the end of a day, and all that is needed to go on from there.

    `value` (unrounded, cash included), `cash` and the day's net external `flow` are money. `weights` are percents of 4
    places that sum to exactly 100, with cash under `CASH`; none where the value is not above zero. `quantities` names
    what is held (9 places), `prices` what one unit of it was valued at (9 places). `stale` names the symbols without a
    close of that very day; those of them that never had one, and are valued at their last trade, are in
    `at_trade_price` too.
    """

    day: date
    value: Decimal
    cash: Decimal
    flow: Decimal
    weights: Mapping[str, Decimal]
    quantities: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    stale: tuple[str, ...] = ()
    at_trade_price: tuple[str, ...] = ()


def snapshots(
    executions: Iterable[Execution],
    movements: Iterable[Movement],
    splits: Mapping[str, Sequence[Split]],
    closes: Closes,
    days: Iterable[date],
    *,
    start: Snapshot | None = None,
) -> list[Snapshot]:
    """One snapshot for each of the trading days, by day, from the first on which anything had happened.

    With `start`, those after it: what happened up to its day is in it and is not counted again, so that extending a
    series gives what making it anew gives. The closes have to reach back `LOOK_BACK` before the first day.
    """
    wanted = sorted(day for day in set(days) if start is None or day > start.day)
    steps = list(_steps(executions, movements, splits, after=start.day if start else None))
    book = _Book(splits, {symbol: sorted(by_day) for symbol, by_day in closes.items()}, closes)
    if start is not None:
        book.resume(start)
    found, done = [], 0
    for day in wanted:
        reached = done
        while reached < len(steps) and steps[reached].day <= day:
            reached += 1
        today, done = steps[done:reached], reached
        if today:
            book.apply(today)
        if start is not None or done:
            found.append(book.close(day))
    return found


def flows(series: Iterable[Snapshot]) -> list[Flow]:
    """The external flows of a series, by day."""
    return [Flow(it.day, it.flow) for it in series if it.flow]


class _Step(Struct, frozen=True):
    """Something that happened; splits go before trades of their instant."""

    at: datetime
    rank: int
    ref: str
    symbol: str
    what: "Split | Execution | Movement"

    @property
    def day(self) -> date:
        return self.at.astimezone(UTC).date()


def _steps(
    executions: Iterable[Execution],
    movements: Iterable[Movement],
    splits: Mapping[str, Sequence[Split]],
    after: date | None,
) -> Iterator[_Step]:
    trades = [_Step(it.executed_at, 1, it.ref_id, it.symbol, it) for it in executions]
    cash = [_Step(it.at, 2, "", "", it) for it in movements]
    begun = {it.symbol for it in trades} if after is None else set(splits)
    split = [_Step(it.effective_at, 0, "", symbol, it) for symbol in sorted(begun) for it in splits.get(symbol, ())]
    for step in sorted((*split, *trades, *cash), key=lambda it: (it.at, it.rank, it.ref)):
        if after is None or step.day > after:
            yield step


class _Book(Struct):
    """The state between two days: it is that of a snapshot, so that a series can be taken up from any."""

    splits: Mapping[str, Sequence[Split]]
    close_days: Mapping[str, Sequence[date]]
    closes: Closes
    quantities: dict[str, Decimal] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    traded: set[str] = field(default_factory=set)
    cash: Decimal = ZERO
    flow: Decimal = ZERO

    def resume(self, start: Snapshot) -> None:
        self.quantities = dict(start.quantities)
        self.prices = dict(start.prices)
        self.traded = set(start.at_trade_price)
        self.cash = start.cash

    def apply(self, steps: Sequence[_Step]) -> None:
        for step in steps:
            if isinstance(step.what, Split):
                self._split(step.symbol, step.what)
            elif isinstance(step.what, Movement):
                self.cash += step.what.amount
                self.flow += step.what.amount if step.what.is_external else ZERO
            else:
                self._trade(step.what)

    def _split(self, symbol: str, split: Split) -> None:
        if symbol in self.quantities:
            self.quantities[symbol] = split.of(self.quantities[symbol])
        if symbol in self.prices:
            self.prices[symbol] = _after_split(self.prices[symbol], split)

    def _trade(self, trade: Execution) -> None:
        is_buy = trade.side == BUY
        change = -(trade.amount + trade.fees) if is_buy else trade.amount - trade.fees
        if trade.moves_cash:
            self.cash += change
        else:
            self.flow -= change
        held = self.quantities.get(trade.symbol, ZERO)
        self.quantities[trade.symbol] = held + (trade.quantity if is_buy else -trade.quantity)
        if trade.symbol not in self.prices or trade.symbol in self.traded:
            self.prices[trade.symbol] = to_places(CONTEXT.divide(trade.amount, trade.quantity), QUANTITY_PLACES)
            self.traded.add(trade.symbol)

    def close(self, day: date) -> Snapshot:
        """The snapshot at the end of the day; what is no longer held is forgotten with its price."""
        self.quantities = {symbol: held for symbol, held in sorted(self.quantities.items()) if held}
        self.prices = {symbol: self.prices[symbol] for symbol in self.quantities}
        self.traded &= self.quantities.keys()
        stale = [symbol for symbol in self.quantities if not self._price(symbol, day)]
        with localcontext(EXACT):
            values = {symbol: held * self.prices[symbol] for symbol, held in self.quantities.items()}
            values[CASH] = self.cash
            total = sum(values.values(), ZERO)
            weights = apportion(HUNDRED, values, PERCENT_PLACES) if total > 0 else {}
        flow, self.flow = self.flow, ZERO
        return Snapshot(
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

    def _price(self, symbol: str, day: date) -> bool:
        """Takes the last close on or before the day, or keeps the one that is carried; whether it is of that day."""
        days = self.close_days.get(symbol, ())
        place = bisect_right(days, day)
        if not place or days[place - 1] < day - LOOK_BACK:
            return False
        found = days[place - 1]
        price = self.closes[symbol][found]
        for split in sorted(self.splits.get(symbol, ()), key=lambda it: it.effective_at):
            if found < split.effective_at.astimezone(UTC).date() <= day:
                price = _after_split(price, split)
        self.prices[symbol] = price
        self.traded.discard(symbol)
        return found == day


def _after_split(price: Decimal, split: Split) -> Decimal:
    """What one unit is worth once every `old` units are `new` units, 9 places."""
    return to_places(split.unit_price(price), QUANTITY_PLACES)
