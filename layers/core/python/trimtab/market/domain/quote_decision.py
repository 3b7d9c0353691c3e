"""Decisions about quotes: accepted, repeated, held or outdated; and the release and withdrawal of prices."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import AcceptedPrice, HeldPrice, Quote
from trimtab.kernel.errors import Conflict
from trimtab.kernel.money import plain
from trimtab.market.domain.plausibility import (
    Implausibility,
    PriceLimits,
    PricePoint,
    close_point,
    find_implausibility,
    is_at_level,
    newest,
    quote_point,
    range_around,
)
from trimtab.market.domain.price_log import PriceAction, PriceLogEntry, held_entry, log_entry
from trimtab.market.domain.quotes import NewQuote

CONFIRMED = "market data"
"""The actor of a release that other market data confirm: a close, a split or a second source."""


class QuoteOutcome(StrEnum):
    """The outcomes of a quote. A repeated quote was accepted before, with the same price and time."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    HELD = "held"
    OUTDATED = "outdated"


class QuoteContext(Struct, frozen=True):
    """The data against which a quote is judged: the stored quote (version 0 if none), the asset and the last bar."""

    quote: Quote
    asset: AssetRecord | None = None
    bar: Bar | None = None

    @property
    def limits(self) -> PriceLimits:
        """The limits of the asset."""
        return PriceLimits.of(self.asset)


class QuoteDecision(Struct, frozen=True):
    """The outcome of a quote, the quote afterwards, and an entry of the price log where the outcome needs one.

    The quote has the next version if the decision has to be written. `needs_checks` is True for the first held price of
    an episode, and for any price that is not newer than the held price: the price may be delivered again because the
    first delivery ended before the checks were requested. `is_in_new_units`: see `StoredPrice`.
    """

    outcome: QuoteOutcome
    quote: Quote
    entry: PriceLogEntry | None = None
    needs_checks: bool = False
    is_in_new_units: bool = False


def decide(new: NewQuote, context: QuoteContext, now: datetime) -> QuoteDecision:
    """Return the decision about a new quote.

    A quote with the time and the source of the stored quote and another price is a correction. An implausible price is
    held. A held price is accepted once it is plausible (a close or a split explains the price), or if another source
    has a price at the same level; a repetition by the same source changes nothing.
    """
    stored, price = context.quote, AcceptedPrice(new.price, new.as_of, new.source)
    is_same_time = stored.as_of == price.as_of
    if is_same_time and stored.price == price.price:
        return QuoteDecision(QuoteOutcome.REPEATED, stored, is_in_new_units=stored.is_in_new_units)
    is_older = stored.as_of is not None and price.as_of < stored.as_of
    is_opinion_of_another = is_same_time and stored.source != price.source
    if is_older or is_opinion_of_another or _is_withdrawn(price, stored):
        return QuoteDecision(QuoteOutcome.OUTDATED, stored)
    fault = _find_fault(price, context, is_correction=is_same_time)
    if fault is not None and not _confirms(price, context):
        return _hold(price, fault, context, now)
    return _accept(price, context, now)


def release(price: Decimal, context: QuoteContext, actor: str, now: datetime) -> QuoteDecision:
    """Return the decision by which a person accepts the held price; a repetition changes nothing.

    Raises `Conflict` if the symbol holds no such price.
    """
    stored, held = context.quote, context.quote.held
    if held is None or held.price != price:
        if stored.price == price:
            return QuoteDecision(QuoteOutcome.REPEATED, stored)
        holds = f"holds {plain(held.price)}" if held else "holds no price"
        raise Conflict("not_held", f"{stored.symbol} {holds}. Read the quote, and release the price that is held.")
    return _accept(held.as_accepted(), context, now, actor=actor)


def withdraw(as_of: datetime, reason: str, context: QuoteContext, actor: str, now: datetime) -> QuoteDecision:
    """Return the decision by which a person withdraws the quote or the held price of a time.

    The previous accepted price stands again. A repetition changes nothing. Raises `Conflict` if the symbol has no
    price of that time.
    """
    stored, held = context.quote, context.quote.held
    if held is not None and held.as_of == as_of:
        wrong = held.as_accepted()
        after = replace(stored, held=None)
    elif (quoted := stored.accepted) is not None and quoted.as_of == as_of:
        wrong = quoted
        after = _restore_previous(stored, now)
    elif stored.withdrawn is not None and stored.withdrawn.as_of == as_of:
        return QuoteDecision(QuoteOutcome.REPEATED, stored)
    else:
        raise Conflict("no_price_of_that_time", f"{stored.symbol} has no price of that time. Read the quote first.")
    after = replace(after, withdrawn=wrong, accepted_range=None, version=stored.version + 1)
    after = _accept_held_if_plausible(replace(context, quote=after), now)
    entry = log_entry(PriceAction.WITHDRAWN, wrong, after, actor=actor, now=now, reason=reason)
    return QuoteDecision(QuoteOutcome.ACCEPTED, after, entry)


def _restore_previous(stored: Quote, now: datetime) -> Quote:
    before = stored.previous
    if before is None:
        return replace(stored, price=None, as_of=None, source=None, stored_at=None)
    return replace(stored, price=before.price, as_of=before.as_of, source=before.source, previous=None, stored_at=now)


def _accept_held_if_plausible(context: QuoteContext, now: datetime) -> Quote:
    """Return the quote after a withdrawal, with the held price accepted if the withdrawn price was the wrong one."""
    stored, held = context.quote, context.quote.held
    if held is None or _find_fault(held.as_accepted(), context):
        return stored
    accepted = _accept(held.as_accepted(), context, now)
    return replace(accepted.quote, version=stored.version)


def _is_withdrawn(price: AcceptedPrice, stored: Quote) -> bool:
    wrong = stored.withdrawn
    return wrong is not None and (wrong.price, wrong.as_of) == (price.price, price.as_of)


def _find_fault(price: AcceptedPrice, context: QuoteContext, *, is_correction: bool = False) -> Implausibility | None:
    """Return the contradiction to the newest accepted price; a correction is compared with the price before."""
    stored, limits = context.quote, context.limits
    before = quote_point(stored)
    if is_correction and stored.previous is not None:
        before = PricePoint(stored.previous.price, stored.previous.as_of)
    accepted = newest(before, close_point(context.bar, limits.exchange))
    if accepted is None:
        return None
    return find_implausibility(PricePoint(price.price, price.as_of), accepted, stored.splits, limits.max_jump_percent)


def _confirms(price: AcceptedPrice, context: QuoteContext) -> bool:
    """Return True if the price is a second source at the level of the held price."""
    held = context.quote.held
    return held is not None and held.source != price.source and _is_at_held_level(price, held, context)


def _is_at_held_level(price: AcceptedPrice, held: HeldPrice, context: QuoteContext) -> bool:
    point, level = PricePoint(price.price, price.as_of), PricePoint(held.price, held.as_of)
    return is_at_level(point, level, context.quote.splits, context.limits.max_jump_percent)


def _hold(price: AcceptedPrice, fault: Implausibility, context: QuoteContext, now: datetime) -> QuoteDecision:
    """Hold the price. The first price of an episode raises an alert; an older price than the held one is not kept."""
    stored, before = context.quote, context.quote.held
    if before is not None and price.as_of <= before.as_of:
        return QuoteDecision(QuoteOutcome.HELD, stored, needs_checks=True)
    held = HeldPrice(
        price=price.price,
        as_of=price.as_of,
        source=price.source,
        reason=fault.reason,
        expected=fault.expected,
        change_percent=fault.change_percent,
        held_at=before.held_at if before else now,
    )
    after = replace(stored, held=held, version=stored.version + 1)
    entry = None if before else held_entry(after, held, now)
    return QuoteDecision(QuoteOutcome.HELD, after, entry, needs_checks=before is None)


def _accept(price: AcceptedPrice, context: QuoteContext, now: datetime, actor: str = CONFIRMED) -> QuoteDecision:
    """Accept the price. The price becomes the quote, and the quote becomes the previous price, unless corrected."""
    stored, held, wrong = context.quote, context.quote.held, context.quote.withdrawn
    replaced = stored.accepted
    is_correction = replaced is not None and replaced.as_of == price.as_of
    wrong = replaced if is_correction else wrong if wrong and wrong.as_of >= price.as_of else None
    is_level_reached = held is not None and _is_at_held_level(price, held, context)
    ends = [split.effective_at for split in stored.splits]
    after = replace(
        stored,
        price=price.price,
        as_of=price.as_of,
        source=price.source,
        stored_at=now,
        held=held if held and held.source != price.source and not is_level_reached else None,
        previous=stored.previous if is_correction else replaced,
        withdrawn=wrong,
        quote_unit=context.asset.quote_unit if context.asset else stored.quote_unit,
        accepted_range=range_around(
            PricePoint(price.price, price.as_of), context.limits, [*ends, wrong.as_of] if wrong else ends
        ),
        version=stored.version + 1,
    )
    entry = log_entry(PriceAction.RELEASED, price, after, actor=actor, now=now) if is_level_reached else None
    is_in_new_units = stored.accepted_range is None or after.is_in_new_units
    return QuoteDecision(QuoteOutcome.ACCEPTED, after, entry, is_in_new_units=is_in_new_units)
