"""Inputs of a decision: the portfolio, quotes and assets, and the prices and days that follow from them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from trimtab.contracts.quotes import Quote
from trimtab.portfolios.balancing import calendar
from trimtab.portfolios.execution.broker import BrokerTerms
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Automation, Mode
from trimtab.portfolios.portfolio.watch_state import Trigger


class DecisionInputs(Struct, frozen=True):
    """Inputs of a check.

    Quantities are the present ones, splits included. `trigger` is None where only the watches have to be written
    again. `terms` are those of the broker. `halt_reason` is set while orders are halted. `was_refused`: the last
    rebalance traded nothing.
    """

    portfolio: Portfolio
    quantities: Mapping[str, Decimal]
    quotes: Mapping[str, Quote]
    now: datetime
    trigger: Trigger | None
    mode: Mode
    terms: BrokerTerms = BrokerTerms()
    halt_reason: str | None = None
    was_refused: bool = False

    def prices(self) -> dict[str, Decimal]:
        """Return the usable prices: of quotes that are neither too old nor from before a split."""
        oldest = self.now - timedelta(seconds=self.portfolio.policy.max_quote_age_seconds)
        return {
            symbol: quote.price
            for symbol, quote in self.quotes.items()
            if quote.price is not None
            and quote.as_of is not None
            and quote.as_of >= oldest
            and not any(quote.as_of < split.effective_at <= self.now for split in quote.splits)
        }

    def calendar_at(self) -> datetime | None:
        """Return the next day of the calendar rule; the day may be past and not decided yet."""
        rule, known = self.portfolio.policy.calendar, self.portfolio.watch_state.calendar_at
        if rule is None or self.portfolio.policy.automation is Automation.MANUAL:
            return None
        return known or calendar.next_due(rule, self.now)

    def is_calendar_due(self) -> bool:
        """Return whether the day of the calendar rule has come."""
        due = self.calendar_at()
        return due is not None and due <= self.now

    def next_calendar_at(self) -> datetime | None:
        """Return the day of the calendar rule after this check; a check without a trigger decides no day."""
        rule, due = self.portfolio.policy.calendar, self.calendar_at()
        is_decided = self.trigger is not None and self.is_calendar_due()
        return calendar.next_due(rule, self.now) if rule and is_decided else due


def symbols_of(portfolio: Portfolio) -> list[str]:
    """Return the symbols held or targeted; a check needs a quote of each."""
    held = (symbol for symbol, holding in portfolio.holdings.items() if holding.quantity)
    return sorted({*held, *portfolio.allocation})
