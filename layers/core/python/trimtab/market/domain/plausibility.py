"""Plausibility of prices: one rule for quotes and closes.

A price is plausible if the change from the newest accepted price, with the splits between both taken out, is at most
the asset's `max_jump_percent`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from msgspec import Struct

from trimtab.contracts.assets import MAX_JUMP_PERCENT, AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.prices import close_price
from trimtab.contracts.quotes import AcceptedRange, HoldReason, Quote, Split
from trimtab.kernel import sessions
from trimtab.kernel.money import CONTEXT, HIGHEST_PRICE, HUNDRED, PRICE_UNIT, ZERO, sortable_price, to_percent

_ROOT = Context(prec=40)


class PricePoint(Struct, frozen=True):
    """The price of one unit at a time, in the units of that time."""

    price: Decimal
    at: datetime


class PriceLimits(Struct, frozen=True):
    """The limits of an asset: its exchange, and the largest plausible change in percent (None for no limit)."""

    exchange: str | None = None
    max_jump_percent: Decimal | None = MAX_JUMP_PERCENT

    @classmethod
    def of(cls, asset: AssetRecord | None) -> "PriceLimits":
        """Return the limits of an asset; the defaults for an unknown asset."""
        return cls(asset.exchange, asset.max_jump_percent) if asset else cls()


class Implausibility(Struct, frozen=True):
    """A contradiction between a price and the newest accepted price.

    `expected` is the accepted price per unit at the time of the contradicting price; `change_percent` is the distance
    from `expected`.
    """

    reason: HoldReason
    expected: Decimal
    change_percent: Decimal


def find_implausibility(
    point: PricePoint, accepted: PricePoint, splits: Sequence[Split], max_jump_percent: Decimal | None
) -> Implausibility | None:
    """Return the contradiction between a price and an accepted price; None if the price is plausible.

    A price contradicts the splits between both prices if the price is plausible without the splits, and nearer to the
    accepted price without the splits than with them. Splits that change the price by less than half of the limit are
    not told from a move of the market.

    >>> monday, tuesday = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)
    >>> accepted, four_for_one = PricePoint(Decimal(100), monday), Split(tuesday, Decimal(4), Decimal(1))
    >>> find_implausibility(PricePoint(Decimal(26), tuesday), accepted, [four_for_one], Decimal(40)) is None
    True
    >>> find_implausibility(PricePoint(Decimal(98), tuesday), accepted, [four_for_one], Decimal(40)).reason.value
    'split_contradicted'
    """
    if max_jump_percent is None:
        return None
    expected = _in_units_of(point.at, accepted, splits)
    change = change_percent(expected, point.price)
    is_outside = change > max_jump_percent
    is_nearer = _distance(accepted.price, point.price) < _distance(expected, point.price)
    if is_nearer and change_percent(accepted.price, point.price) <= max_jump_percent:
        is_telling = 2 * change_percent(accepted.price, expected) > max_jump_percent
        if is_outside or is_telling:
            return Implausibility(HoldReason.SPLIT_CONTRADICTED, expected, change)
    return Implausibility(HoldReason.PRICE_JUMP, expected, change) if is_outside else None


def is_at_level(
    point: PricePoint, level: PricePoint, splits: Sequence[Split], max_jump_percent: Decimal | None
) -> bool:
    """Return True if the price is plausible after the price of a level."""
    return find_implausibility(point, level, splits, max_jump_percent) is None


def change_percent(before: Decimal, after: Decimal) -> Decimal:
    """Return the distance between two prices in percent of the first price."""
    return to_percent(CONTEXT.divide(CONTEXT.multiply(abs(after - before), HUNDRED), before))


def quote_point(quote: Quote | None) -> PricePoint | None:
    """Return the accepted price of a quote, None before the first price."""
    if quote is None or quote.price is None or quote.as_of is None:
        return None
    return PricePoint(quote.price, quote.as_of)


def close_point(bar: Bar | None, exchange: str | None) -> PricePoint | None:
    """Return the close of a bar at the end of its session."""
    return PricePoint(bar.close, close_price(bar, exchange).at) if bar else None


def newest(*points: PricePoint | None) -> PricePoint | None:
    """Return the newest of the given prices, the first of several with the same time; None if none is given."""
    return max((point for point in points if point is not None), key=lambda point: point.at, default=None)


def range_around(point: PricePoint, limits: PriceLimits, ends: Sequence[datetime]) -> AcceptedRange:
    """Return the range around an accepted price in which a following quote needs no further judgement.

    Any two prices in the range are plausible after each other, so that the range holds for every quote that the range
    accepts. The range ends with the session, after which a close may be the newest accepted price, and at the first of
    `ends` that is later than the price.
    """
    low, high = ZERO, HIGHEST_PRICE
    if limits.max_jump_percent is not None:
        factor = 1 + limits.max_jump_percent / HUNDRED
        low = _ROOT.divide(point.price, _ROOT.sqrt(factor)).quantize(PRICE_UNIT, ROUND_CEILING, _ROOT)
        high = min(_ROOT.multiply(low, factor).quantize(PRICE_UNIT, ROUND_FLOOR, _ROOT), HIGHEST_PRICE)
    later = [end for end in (_close_after(limits.exchange, point.at), *ends) if end > point.at]
    return AcceptedRange(sortable_price(low), sortable_price(high), min(later))


def _close_after(exchange: str | None, instant: datetime) -> datetime:
    day: date = instant.astimezone(UTC).date()
    close = sessions.session_close(exchange, day)
    return close if close > instant else sessions.session_close(exchange, day + timedelta(days=1))


def _in_units_of(at: datetime, accepted: PricePoint, splits: Sequence[Split]) -> Decimal:
    """Return the accepted price per unit at a time, which may be before or after the accepted price."""
    price = accepted.price
    for split in splits:
        if accepted.at < split.effective_at <= at:
            price = split.unit_price(price)
        elif at < split.effective_at <= accepted.at:
            price = CONTEXT.divide(CONTEXT.multiply(price, split.new), split.old)
    return price


def _distance(one: Decimal, other: Decimal) -> Decimal:
    """Return the larger price divided by the smaller price."""
    return CONTEXT.divide(max(one, other), min(one, other))
