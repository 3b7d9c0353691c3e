"""Inputs of a decision: the portfolio, quotes and assets, and the prices and days that follow from them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct, field

from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.quotes import Quote
from trimtab.kernel import sessions
from trimtab.portfolios.balancing import calendar
from trimtab.portfolios.execution.broker import BrokerTerms
from trimtab.portfolios.execution.control_records import AccountClaim, TenantNotional
from trimtab.portfolios.execution.trading_controls import TradingControls
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Automation, Mode, OnDeposit
from trimtab.portfolios.portfolio.watch_state import Trigger

FIRST_QUOTES_WAIT = timedelta(minutes=5)
"""Longest wait, from the open of an exchange, for the first quotes of the session."""


class DecisionInputs(Struct, frozen=True):
    """Inputs of a check.

    Quantities are the present ones, splits included. `trigger` is None where only the watches have to be written
    again. `terms` are those of the broker. `last_prices` are the last prices of held symbols without a usable quote.
    `assets` are the reference data by symbol, empty until they are read. `halt_reason` is set while orders are halted.
    `oversold` are the symbols whose recorded sells exceed the holding, because a split contradicts them.
    `was_refused`: the last rebalance traded nothing. `controls` are the pre-trade controls, and `tenant_notional` what
    the tenant's plans of the day are worth, where that is limited. `account_owner` is the other portfolio that trades
    through the broker's account, and `claim` the claim of the account to be stored with the plan.
    """

    portfolio: Portfolio
    quantities: Mapping[str, Decimal]
    quotes: Mapping[str, Quote]
    now: datetime
    trigger: Trigger | None
    mode: Mode
    terms: BrokerTerms = BrokerTerms()
    last_prices: Mapping[str, Decimal] = field(default_factory=dict)
    assets: Mapping[str, AssetRecord] = field(default_factory=dict)
    halt_reason: str | None = None
    controls: TradingControls = TradingControls()
    tenant_notional: TenantNotional | None = None
    account_owner: str | None = None
    claim: AccountClaim | None = None
    was_refused: bool = False
    oversold: tuple[str, ...] = ()

    def usable_prices(self) -> dict[str, Decimal]:
        """Return the prices that may be traded: of quotes that are not held, too old, or from before a split.

        An asset that is quoted in percent is not traded, because brokers state order prices in money.
        At a broker with sessions, a price from before the present session is too old; see `_opened_at`.
        """
        oldest = self.now - timedelta(seconds=self.portfolio.policy.max_quote_age_seconds)
        return {
            symbol: quote.price
            for symbol, quote in self.quotes.items()
            if quote.price is not None
            and quote.as_of is not None
            and quote.as_of >= max(oldest, self._opened_at(symbol) or oldest)
            and quote.held is None
            and not quote.is_in_percent
            and not any(
                quote.as_of < split.effective_at <= self.now and not split.is_withdrawn for split in quote.splits
            )
        }

    def without_usable_price(self) -> list[str]:
        """Return the symbols held or targeted whose price may not be traded."""
        usable = self.usable_prices()
        return [symbol for symbol in symbols_of(self.portfolio) if symbol not in usable]

    def first_quotes_until(self) -> datetime | None:
        """Return the end of the wait for the first quotes of the session, None where none is missing or the wait ended.

        A symbol without a quote after that is treated like any other symbol without a usable price.
        """
        missing = (symbol for symbol in self.without_usable_price() if not self.has_held_price(symbol))
        openings = [opened for symbol in missing if (opened := self._opened_at(symbol))]
        until = max(openings) + FIRST_QUOTES_WAIT if openings else self.now
        return until if until > self.now else None

    def has_held_price(self, symbol: str) -> bool:
        """Return True if the newest price of the symbol is held as implausible."""
        return symbol in self.quotes and self.quotes[symbol].held is not None

    def _opened_at(self, symbol: str) -> datetime | None:
        """Return the opening of the present session at a broker with sessions; None for an asset that is not read."""
        if not self.terms.trades_by_session or symbol not in self.assets:
            return None
        return sessions.opened_at(self.assets[symbol].exchange, self.now)

    def waiting_for_price(self) -> set[str]:
        """Return the targeted symbols that are not held and have no usable price: their first buy waits."""
        return {symbol for symbol in self.without_usable_price() if not self.holds(symbol)}

    def holds(self, symbol: str) -> bool:
        """Return True if the portfolio holds the symbol."""
        return bool(self.quantities.get(symbol))

    def closed_exchanges(self, symbols: Iterable[str]) -> dict[str, datetime]:
        """Return the symbols whose exchange is closed, with its next opening; none where the broker always trades."""
        if not self.terms.trades_by_session:
            return {}
        exchanges = {symbol: self.assets[symbol].exchange for symbol in symbols if symbol in self.assets}
        openings = {symbol: sessions.next_open(exchange, self.now) for symbol, exchange in exchanges.items()}
        return {symbol: opening for symbol, opening in sorted(openings.items()) if opening > self.now}

    @property
    def has_deposit_to_invest(self) -> bool:
        """True where a deposit waits to be invested and the policy still invests deposits."""
        policy = self.portfolio.policy
        invests = policy.on_deposit is OnDeposit.INVEST and policy.mode is not Mode.SELL_ONLY
        return self.portfolio.watch_state.is_deposit_due and invests

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
