"""The proof that stored holdings are right: all trades of a portfolio are folded again and compared."""

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, not_found
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.ledger.history import settled
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.posting import fold_trades
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.holdings import Holding


class HoldingComparison(Struct, frozen=True):
    """A holding as stored, with every split up to now, and as folded from all its trades."""

    stored: Holding
    recomputed: Holding

    @property
    def is_consistent(self) -> bool:
        """True if the stored holding equals the recomputed holding."""
        return self.stored == self.recomputed


class HoldingsRebuild(Struct, frozen=True):
    """The comparison, and the repair, of the stored holdings of a portfolio."""

    ledger: LedgerStore
    clock: Clock

    def run(self, tenant_id: str, portfolio_id: str, *, repair: bool = False) -> list[HoldingComparison]:
        """Fold all trades of each holding again; `repair` stores the holdings that differ.

        The portfolio is read before the trades. A trade that is recorded meanwhile looks like a difference, but
        changes the version on which the repair would write. Raises `NotFound`, and `Conflict` where the portfolio is
        locked, stale or closed, or was changed during the repair (try again).
        """
        portfolio = self.ledger.portfolio(tenant_id, portfolio_id)
        if portfolio is None:
            raise not_found("portfolio")
        now, quotes = self.clock(), self.ledger.quotes(sorted(portfolio.holdings))
        stored = HoldingsReader(self.ledger, self.clock).apply_splits(portfolio, quotes)
        comparisons = []
        for symbol, holding in sorted(stored.items()):
            trades = settled(self.ledger, portfolio, self.ledger.trades_of(tenant_id, portfolio_id, symbol))
            splits = quotes[symbol].splits if symbol in quotes else ()
            recomputed = fold_trades(holding, trades, splits, now, may_oversell=True)
            comparisons.append(HoldingComparison(holding, recomputed))
        wrong = [comparison.recomputed for comparison in comparisons if not comparison.is_consistent]
        if repair and wrong:
            portfolio.require_tradable(now)
            try:
                self.ledger.put(portfolio.post(now, holdings=wrong))
            except ConditionFailed:
                raise Conflict("portfolio_changed", "The portfolio changed during the repair: try again.") from None
        return comparisons
