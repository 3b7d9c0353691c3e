"""What every night and every month asks for: each portfolio is valued, and gets its report."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Protocol

from msgspec import Struct

from trimtab.analytics.service.ports import Series
from trimtab.kernel.trading_days import is_trading_day

SHARDS = "0123456789abcdef"
PAGE = 100
MAX_PAGES = 1_000


class OpenSeries(Protocol):
    """Finds the portfolios that are valued every night."""

    def open_series(self, shard: str, *, limit: int, after: Any) -> tuple[list[Series], Any]:
        """A page of a shard, and where the next one starts (None at the end)."""


class Work(Protocol):
    """The queues of the workers."""

    def value(self, portfolios: Iterator[tuple[str, str]], since: date | None) -> int:
        """Asks for valuations of portfolios (tenant, id); how many were asked for."""

    def report(self, portfolios: Iterator[tuple[str, str]], month: str) -> int:
        """Asks for reports of a month; how many were asked for."""


class Nights(Struct, frozen=True):
    """Asks for the same of every portfolio. A second time costs work and changes nothing."""

    store: OpenSeries
    work: Work

    def value_all(self, since: date | None) -> int:
        """Values every open portfolio from that day on (None: the days that are missing); how many there are."""
        return self.work.value(self._all(), since)

    def value_all_again(self, since: date, today: date) -> int:
        """As `value_all`, where days are valued already that the news concerns: none is from today on."""
        return self.value_all(since) if since < today else 0

    def report_all(self, today: date) -> int:
        """Asks for every report of the month before, on the first trading day of a month; on other days for none."""
        if not is_first_trading_day(today):
            return 0
        return self.work.report(self._all(), month_before(today))

    def _all(self) -> Iterator[tuple[str, str]]:
        for shard in SHARDS:
            after: Any = None
            for _ in range(MAX_PAGES):
                page, after = self.store.open_series(shard, limit=PAGE, after=after)
                yield from ((it.tenant_id, it.portfolio_id) for it in page)
                if after is None:
                    break


def is_first_trading_day(day: date) -> bool:
    """Whether no day of its month before it was one."""
    earlier = (day.replace(day=number) for number in range(1, day.day))
    return is_trading_day(day) and not any(is_trading_day(each) for each in earlier)


def month_before(day: date) -> str:
    """The month before that of the day, as `2026-10`."""
    return (day.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
