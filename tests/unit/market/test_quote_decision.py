"""Decisions about quotes: accepted, repeated, held or outdated; release and withdrawal."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import AcceptedPrice, HoldReason, Quote, Split
from trimtab.kernel.errors import Conflict
from trimtab.kernel.money import HIGHEST_PRICE, sortable_price
from trimtab.market.domain.plausibility import PriceLimits, PricePoint, find_implausibility, range_around
from trimtab.market.domain.price_log import PriceAction
from trimtab.market.domain.quote_decision import (
    QuoteContext,
    QuoteDecision,
    QuoteOutcome,
    decide,
    release,
    withdraw,
)
from trimtab.market.domain.quotes import NewQuote

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
ASSET = AssetRecord("AAPL", "Apple Inc.", "stock", None, "USD", "XNAS", True)
TEN_FOR_ONE = Split(datetime(2026, 11, 20, 14, 30, tzinfo=UTC), Decimal(10), Decimal(1))
prices = st.decimals(Decimal("0.000000001"), HIGHEST_PRICE, places=9)
limits = st.decimals(Decimal("0.0001"), Decimal(1000), places=4)


def at(minutes: float) -> datetime:
    """Return a time some minutes after noon in New York."""
    return NOON + timedelta(minutes=minutes)


def new(price: float | str, minutes: float = 0, source: str = "feed") -> NewQuote:
    """Return a quote of AAPL."""
    return NewQuote("AAPL", Decimal(str(price)), at(minutes), source)


def bar(close: int, day: date) -> Bar:
    """Return a bar of AAPL."""
    price = Decimal(close)
    return Bar("AAPL", day, price, price, price, price, Decimal(10), None, None, None, "file", 1)


def context(quote: Quote | None = None, last_bar: Bar | None = None, asset: AssetRecord | None = ASSET) -> QuoteContext:
    """Return the data against which a quote is judged."""
    return QuoteContext(quote or Quote("AAPL", version=0), asset, last_bar)


def after(*quotes: NewQuote, start: QuoteContext | None = None) -> QuoteContext:
    """Return the data after some quotes, one after another."""
    judged = start or context()
    for quote in quotes:
        judged = replace(judged, quote=decide(quote, judged, NOON).quote)
    return judged


def facts(*values: object) -> tuple[object, ...]:
    """Return the values as a tuple whose members of any type can be compared."""
    return values


def outcome(quote: NewQuote, judged: QuoteContext) -> QuoteOutcome:
    """Return the outcome of a quote."""
    return decide(quote, judged, NOON).outcome


def test_the_first_price_is_accepted_and_the_next_one_keeps_it_as_the_previous_price() -> None:
    quote = after(new(100), new(101, 1)).quote
    assert quote.accepted == AcceptedPrice(Decimal(101), at(1), "feed")
    assert quote.previous == AcceptedPrice(Decimal(100), at(0), "feed")
    assert (quote.held, quote.version) == (None, 2)


@pytest.mark.parametrize(("price", "held"), [(140, False), ("140.01", True), (60, False), ("59.99", True)])
def test_a_price_beyond_forty_percent_is_held(price: float | str, held: bool) -> None:
    decision = decide(new(price, 1), after(new(100)), NOON)
    assert (decision.outcome is QuoteOutcome.HELD) is held
    assert (decision.quote.price == 100) is held


def test_pence_for_pounds_are_held_and_the_next_right_price_of_the_source_ends_the_episode() -> None:
    held = after(new(100), new(10_000, 1))
    assert held.quote.held is not None
    assert facts(held.quote.held.reason, held.quote.held.change_percent) == (HoldReason.PRICE_JUMP, 9900)
    right = decide(new(101, 2), held, NOON)
    assert right.outcome is QuoteOutcome.ACCEPTED
    assert (right.quote.held, right.quote.price, right.entry) == (None, Decimal(101), None)


def test_one_alert_an_episode_and_again_only_after_the_episode() -> None:
    first = decide(new(10_000, 1), after(new(100)), NOON)
    assert first.entry is not None
    assert [event.type for event in first.entry.events] == ["price.held", "alert.raised"]
    again = decide(new(10_001, 2), context(first.quote), at(5))
    assert (again.outcome, again.entry) == (QuoteOutcome.HELD, None)
    assert again.quote.held is not None
    assert facts(again.quote.held.price, again.quote.held.held_at) == (10_001, NOON)
    assert (first.needs_checks, again.needs_checks) == (True, False)
    repeated = decide(new(10_000, 1), context(again.quote), at(6))
    assert repeated.quote is again.quote, "nothing is written"
    assert repeated.needs_checks, "the first delivery may have ended before it requested the checks"
    over = after(new(100, 3), start=context(again.quote))
    assert decide(new(10_000, 4), over, NOON).entry is not None


def test_a_repetition_by_the_same_source_never_releases_and_a_second_source_at_the_level_does() -> None:
    held = after(new(100), *(new(10_000 + n, 1 + n) for n in range(20)))
    assert held.quote.price == 100
    assert outcome(new(20_000, 30, "other"), held) is QuoteOutcome.HELD
    confirmed = decide(new(10_100, 30, "other"), held, NOON)
    assert facts(confirmed.outcome, confirmed.quote.price, confirmed.quote.held) == (
        QuoteOutcome.ACCEPTED,
        10_100,
        None,
    )
    assert confirmed.entry is not None
    assert confirmed.entry.action is PriceAction.RELEASED


def test_a_price_of_another_source_leaves_the_held_price() -> None:
    quote = after(new(100), new(10_000, 1, "wrong"), new(101, 2)).quote
    assert facts(quote.price, quote.held and quote.held.price) == (101, 10_000)


def test_a_close_at_the_level_releases_the_held_price() -> None:
    held = after(new(100), new(200, 1))
    assert outcome(new(200, 1), replace(held, bar=bar(100, date(2026, 11, 20)))) is QuoteOutcome.HELD
    confirmed = decide(new(200, 1), replace(held, bar=bar(205, date(2026, 11, 20))), NOON)
    assert facts(confirmed.outcome, confirmed.quote.price, confirmed.quote.held) == (QuoteOutcome.ACCEPTED, 200, None)


def test_the_newer_of_quote_and_close_counts() -> None:
    old = after(new(100))
    assert outcome(new(170, 60 * 24 * 3), replace(old, bar=bar(160, date(2026, 11, 20)))) is QuoteOutcome.ACCEPTED
    assert outcome(new(170, 60 * 24 * 3), replace(old, bar=bar(160, date(2026, 11, 19)))) is QuoteOutcome.HELD
    assert outcome(new(100), context(last_bar=bar(12, date(2026, 4, 1)))) is QuoteOutcome.HELD, "a recycled ticker"


def test_a_split_explains_the_price_that_follows_it_and_holds_the_price_that_does_not() -> None:
    before = after(new(100, -180))
    assert outcome(new(10, 1), before) is QuoteOutcome.HELD
    split = replace(before, quote=replace(before.quote, splits=(TEN_FOR_ONE,)))
    assert outcome(new("10.2", 1), split) is QuoteOutcome.ACCEPTED
    contradicted = decide(new(101, 1), split, NOON)
    assert contradicted.quote.held is not None
    assert contradicted.quote.held.reason is HoldReason.SPLIT_CONTRADICTED


def test_the_first_price_after_a_split_or_a_change_of_the_splits_is_in_new_units() -> None:
    early = after(new(100, -200), new(100, -190))
    known = replace(early, quote=replace(early.quote, splits=(TEN_FOR_ONE,)))
    assert not decide(new("101", -180), known, NOON).is_in_new_units, "before the split"
    first = decide(new(10, 1), known, NOON)
    assert first.is_in_new_units
    second = decide(new("10.1", 2), replace(known, quote=first.quote), NOON)
    assert not second.is_in_new_units
    again = decide(new(10, 1), replace(known, quote=first.quote), NOON)
    assert facts(again.outcome, again.is_in_new_units) == (QuoteOutcome.REPEATED, True)
    changed = replace(second.quote, splits=(), accepted_range=None)
    for price in (new("10.1", 2), new("10.2", 3)):
        assert decide(price, replace(known, quote=changed), NOON).is_in_new_units


def test_a_true_after_hours_price_of_the_evening_before_is_a_price_before_the_split() -> None:
    close = bar(100, date(2026, 11, 19))
    split = context(Quote("AAPL", splits=(TEN_FOR_ONE,)), close)
    evening = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)
    accepted = decide(NewQuote("AAPL", Decimal(101), evening, "feed"), split, NOON)
    assert accepted.outcome is QuoteOutcome.ACCEPTED
    assert accepted.quote.accepted_range is not None
    assert accepted.quote.accepted_range.until == TEN_FOR_ONE.effective_at
    assert outcome(new("10.1"), replace(split, quote=accepted.quote)) is QuoteOutcome.ACCEPTED


def test_without_a_limit_every_price_is_accepted_and_an_unknown_asset_has_the_default() -> None:
    free = replace(ASSET, max_jump_percent=None)
    quote = after(new(100), new(10_000, 1), new("0.01", 2), start=context(asset=free)).quote
    assert (quote.price, quote.held) == (Decimal("0.01"), None)
    assert outcome(new(10_000, 1), after(new(100), start=context(asset=None))) is QuoteOutcome.HELD


def test_older_prices_are_outdated_and_repeated_prices_are_repeated() -> None:
    known = after(new(100, 1))
    assert outcome(new(100, 1), known) is QuoteOutcome.REPEATED
    assert outcome(new(99, 0), known) is QuoteOutcome.OUTDATED
    assert outcome(new(99, 1, "other"), known) is QuoteOutcome.OUTDATED, "another opinion of the same time"


def test_a_correction_of_the_same_time_is_a_revision_and_the_corrected_price_does_not_return() -> None:
    corrected = after(new(100), new(130, 1), new(95, 1))
    assert corrected.quote.accepted == AcceptedPrice(Decimal(95), at(1), "feed")
    assert corrected.quote.previous == AcceptedPrice(Decimal(100), at(0), "feed")
    assert outcome(new(130, 1), corrected) is QuoteOutcome.OUTDATED, "a late repetition of the wrong price"
    assert outcome(new(61, 1), after(new(100), new(139, 1))) is QuoteOutcome.ACCEPTED, "compared with the price before"


def test_a_person_releases_the_held_price_by_name_once() -> None:
    held = after(new(100), new(10_000, 1))
    with pytest.raises(Conflict, match="not_held"):
        release(Decimal(9_000), held, "ops", NOON)
    released = release(Decimal(10_000), held, "ops", NOON)
    assert released.quote.accepted == AcceptedPrice(Decimal(10_000), at(1), "feed")
    assert released.entry is not None
    assert (released.entry.action, released.entry.actor) == (PriceAction.RELEASED, "ops")
    assert release(Decimal(10_000), context(released.quote), "ops", NOON) == QuoteDecision(
        QuoteOutcome.REPEATED, released.quote
    )


def test_a_withdrawn_price_is_replaced_by_the_previous_one_and_not_accepted_again() -> None:
    wrong = after(new(100), new(130, 1))
    withdrawn = withdraw(at(1), "a typing error", wrong, "ops", NOON)
    assert withdrawn.quote.accepted == AcceptedPrice(Decimal(100), at(0), "feed")
    assert withdrawn.entry is not None
    assert facts(withdrawn.entry.actor, withdrawn.entry.reason, withdrawn.entry.price.price) == (
        "ops",
        "a typing error",
        130,
    )
    again = replace(wrong, quote=withdrawn.quote)
    assert outcome(new(130, 1), again) is QuoteOutcome.OUTDATED
    assert withdraw(at(1), "twice", again, "ops", NOON).quote is withdrawn.quote
    between = after(new(102, 0.5), start=again)
    assert between.quote.accepted_range is not None
    assert between.quote.accepted_range.until == at(1), "the withdrawn price never passes by its range"
    with pytest.raises(Conflict, match="no_price_of_that_time"):
        withdraw(at(7), "unknown", again, "ops", NOON)


def test_a_held_price_is_discarded_by_its_time() -> None:
    held = after(new(100), new(10_000, 1))
    discarded = withdraw(at(1), "pence", held, "ops", NOON).quote
    assert facts(discarded.price, discarded.held) == (100, None)
    assert outcome(new(10_000, 1), replace(held, quote=discarded)) is QuoteOutcome.OUTDATED


def test_the_right_price_is_accepted_when_the_wrong_first_price_is_withdrawn() -> None:
    wrong = after(new(10_000), new(100, 1))
    assert wrong.quote.price == 10_000
    right = withdraw(at(0), "pence", wrong, "ops", NOON).quote
    assert facts(right.price, right.held, right.version) == (100, None, wrong.quote.version + 1)


@given(prices, limits, st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_any_two_prices_in_the_accepted_range_are_plausible_after_each_other(
    price: Decimal, limit: Decimal, places: list[float]
) -> None:
    point = PricePoint(price, NOON)
    accepted = range_around(point, PriceLimits("XNAS", limit), [])
    low, high = Decimal(accepted.low), Decimal(accepted.high)
    assert low <= price <= high
    assert accepted.until == datetime(2026, 11, 20, 21, tzinfo=UTC)
    one, other = (low + (high - low) * Decimal(place) for place in places)
    between = [PricePoint(value.quantize(Decimal("0.000000001")), NOON) for value in (low, high, one, other)]
    assert not [
        find_implausibility(after, before, (), limit + Decimal("0.0001"))
        for before in between
        for after in between
        if find_implausibility(after, before, (), limit + Decimal("0.0001"))
    ]


def test_the_range_without_a_limit_holds_every_price() -> None:
    accepted = range_around(PricePoint(Decimal(1), NOON), PriceLimits("XNAS", None), [])
    assert (accepted.low, accepted.high) == (sortable_price(Decimal(0)), sortable_price(HIGHEST_PRICE))
