"""The alert rules of portfolios, as their owners set them."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.domain.alerts import Rule
from trimtab.analytics.service.nights import Work
from trimtab.analytics.service.ports import Portfolio, Series, SeriesStore
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import retrying_on_conflict


class AlertRules(Struct, frozen=True):
    """The rules stand beside how far the portfolio is valued: they are looked at after each valuation."""

    store: SeriesStore
    work: Work
    clock: Clock

    def read(self, portfolio: Portfolio) -> Series:
        """The rules of a portfolio with their episodes."""
        found = self.store.series(portfolio.tenant_id, portfolio.portfolio_id)
        return found or Series(
            tenant_id=portfolio.tenant_id,
            portfolio_id=portfolio.portfolio_id,
            first_day=None,
            last_day=None,
            updated_at=self.clock(),
        )

    def replace(self, portfolio: Portfolio, rules: Sequence[Rule]) -> Series:
        """These rules instead of those before. A rule that stays keeps its episode, one that is changed its number.

        All are looked at at once.
        """

        def attempt() -> Series:
            series = self.read(portfolio)
            if series.rules == tuple(rules) and series.version:
                return series
            before = {it.rule_id: it for it in series.rules}
            episodes = {
                it.rule_id: episode if before.get(it.rule_id) == it else episode.under_another_rule()
                for it in rules
                if (episode := series.episodes.get(it.rule_id))
            }
            after = replace(
                series,
                rules=tuple(rules),
                episodes=episodes,
                updated_at=self.clock(),
                version=series.version + 1,
                events=(),
            )
            self.store.put(after)
            return after

        series = retrying_on_conflict(attempt)
        self.work.value(iter([(portfolio.tenant_id, portfolio.portfolio_id)]), None)
        return series
