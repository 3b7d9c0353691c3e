"""Watch matching: finds the portfolios whose price bounds a quote crosses, and requests one check of each."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from trimtab.contracts.quotes import StoredPrice
from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.portfolios.balancing.watch_store import CrossedPortfolio, WatchStore

PricedSymbol = tuple[str, StoredPrice]
ParallelQuery = Callable[
    [Callable[[PricedSymbol], list[CrossedPortfolio]], Iterable[PricedSymbol]], Iterable[list[CrossedPortfolio]]
]
"""`map`, or the `map` of a thread pool."""


class WatchMatcher(Struct, frozen=True):
    """Matches stored quotes against the price watches."""

    watches: WatchStore
    checks: CheckQueue
    parallel_map: ParallelQuery = map

    def request_checks(self, prices: Mapping[str, StoredPrice]) -> int:
        """Request one check of each portfolio whose bounds the prices cross; return the number of portfolios.

        Each message carries the highest epoch of the crossed watches of its portfolio.
        """
        newest: dict[tuple[str, str], CrossedPortfolio] = {}
        for matches in self.parallel_map(self._matches, sorted(prices.items())):
            for crossed in matches:
                key = (crossed.tenant_id, crossed.portfolio_id)
                if key not in newest or crossed.epoch > newest[key].epoch:
                    newest[key] = crossed
        self.checks.request_checks(newest[key] for key in sorted(newest))
        return len(newest)

    def _matches(self, priced: PricedSymbol) -> list[CrossedPortfolio]:
        symbol, stored = priced
        return list(self.watches.crossed(symbol, stored))
