"""What a portfolio holds and what it has earned, at the quotes that are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Refusal
from trimtab.kernel.money import CONTEXT, ZERO, to_money
from trimtab.portfolios.domain.ledger import Holding, fold
from trimtab.portfolios.domain.portfolio import Portfolio
from trimtab.portfolios.service.ports import Ledger


@dataclass(frozen=True, slots=True)
class Position:
    """A holding with its quote; value and profit are None where the symbol has no quote."""

    holding: Holding
    quote: Quote | None

    @property
    def market_value(self) -> Decimal | None:
        """Quantity times price, in money."""
        if self.quote is None or self.quote.price is None:
            return None
        return to_money(CONTEXT.multiply(self.holding.quantity, self.quote.price))

    @property
    def unrealised(self) -> Decimal | None:
        """Market value less cost."""
        return None if self.market_value is None else self.market_value - self.holding.cost


@dataclass(frozen=True, slots=True)
class Returns:
    """Profit of a portfolio in money. `unpriced` names what is held and has no quote: it counts as nothing."""

    realised: Decimal
    unrealised: Decimal
    unpriced: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """Realised and unrealised."""
        return self.realised + self.unrealised


@dataclass(frozen=True, slots=True)
class Holdings:
    """The holdings of portfolios."""

    ledger: Ledger
    clock: Clock

    def positions(self, portfolio: Portfolio) -> list[Position]:
        """Every symbol that was ever held, by name, as it is now: splits since the last trade are in it."""
        if not portfolio.holdings:
            return []
        quotes = self.ledger.quotes(sorted(portfolio.holdings))
        held = self.now(portfolio, quotes)
        return [Position(holding, quotes.get(symbol)) for symbol, holding in sorted(held.items())]

    def now(self, portfolio: Portfolio, quotes: Mapping[str, Quote]) -> dict[str, Holding]:
        """The holdings with the splits since their last trade in them, by symbol."""
        return {symbol: self._now(portfolio, holding, quotes) for symbol, holding in portfolio.holdings.items()}

    def returns(self, portfolio: Portfolio) -> Returns:
        """What the portfolio has earned since its first trade."""
        positions = self.positions(portfolio)
        priced = [it for it in positions if it.unrealised is not None]
        return Returns(
            realised=sum((it.holding.realised for it in positions), ZERO),
            unrealised=sum((it.unrealised or ZERO for it in priced), ZERO),
            unpriced=tuple(it.holding.symbol for it in positions if it.holding.quantity and it.market_value is None),
        )

    def _now(self, portfolio: Portfolio, holding: Holding, quotes: Mapping[str, Quote]) -> Holding:
        quote, now = quotes.get(holding.symbol), self.clock()
        if quote is None:
            return holding
        pending = holding.pending_splits(quote.splits, now)
        if pending is None:
            return self._anew(portfolio, holding, quote, now)
        for split in pending:
            holding = holding.split(split)
        return holding

    def _anew(self, portfolio: Portfolio, holding: Holding, quote: Quote, now: datetime) -> Holding:
        """A split was entered for a day before the newest trade: only the fold knows what that makes."""
        trades = self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, holding.symbol)
        splits = [split for split in quote.splits if split.effective_at <= now]
        executions = [trade.execution for trade in trades if trade.execution is not None]
        try:
            return fold(holding.emptied(), executions, splits)
        except Refusal:
            # The split contradicts trades that are recorded: reading goes on with what was true before it.
            return holding
