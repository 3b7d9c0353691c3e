"""Requests for all open portfolios: valuations after new market data, reports once a month."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from msgspec import Struct

from trimtab.analytics.adapters.queues import AnalyticsQueues
from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.domain.series_state import SHARDS
from trimtab.kernel.trading_days import is_trading_day

PAGE = 100
MAX_PAGES = 1_000


class BulkRequests(Struct, frozen=True):
    """Sends one message per open portfolio. A repeat costs work and changes nothing."""

    store: SeriesStore
    queues: AnalyticsQueues

    def request_valuations(self, since: date | None) -> int:
        """Request a valuation from `since` on (None: the missing days); return the number of portfolios."""
        return self.queues.request_valuations(self._open_portfolios(), since)

    def request_revaluations(self, since: date, today: date) -> int:
        """Request valuations as above, but only where `since` lies before today: later days are not valued yet."""
        return self.request_valuations(since) if since < today else 0

    def request_reports(self, today: date) -> int:
        """Request the reports of the previous month on the first trading day of a month; return the number sent."""
        if not is_first_trading_day(today):
            return 0
        return self.queues.request_reports(self._open_portfolios(), month_before(today))

    def _open_portfolios(self) -> Iterator[tuple[str, str]]:
        for shard in SHARDS:
            after: Any = None
            for _ in range(MAX_PAGES):
                page, after = self.store.list_open(shard, limit=PAGE, after=after)
                yield from ((state.tenant_id, state.portfolio_id) for state in page)
                if after is None:
                    break


def is_first_trading_day(day: date) -> bool:
    """Return True for the first trading day of a month."""
    earlier = (day.replace(day=number) for number in range(1, day.day))
    return is_trading_day(day) and not any(is_trading_day(other) for other in earlier)


def month_before(day: date) -> str:
    """Return the previous month as `2026-10`."""
    return (day.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
