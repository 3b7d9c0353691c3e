"""Crossings: a quote finds the portfolios that wait for it, and no others."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.portfolios.balancing.watch_store import Crossed, WatchStore

Priced = tuple[str, tuple[Decimal, datetime]]
"""A symbol with its price and the time of that."""
Parallel = Callable[[Callable[[Priced], list[Crossed]], Iterable[Priced]], Iterable[list[Crossed]]]
"""`map`, or one that does several at once."""


class Crossings(Struct, frozen=True):
    """What the worker of the queue `quotes` does once quotes are stored."""

    watches: WatchStore
    checks: CheckQueue
    parallel: Parallel = map

    def look_for(self, prices: Mapping[str, tuple[Decimal, datetime]]) -> int:
        """How many portfolios have watches that the prices cross: one check is asked for each of them."""
        newest: dict[tuple[str, str], Crossed] = {}
        for found in self.parallel(lambda it: list(self.watches.crossed(it[0], *it[1])), sorted(prices.items())):
            for each in found:
                key = (each.tenant_id, each.portfolio_id)
                if key not in newest or each.epoch > newest[key].epoch:
                    newest[key] = each
        self.checks.request_checks(newest[key] for key in sorted(newest))
        return len(newest)
