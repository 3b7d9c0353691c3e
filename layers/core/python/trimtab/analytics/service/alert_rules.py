"""The alert rules of portfolios, as their owners set them."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.adapters.queues import AnalyticsQueues
from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.domain.alerts import AlertRule
from trimtab.analytics.domain.series_state import SeriesState
from trimtab.contracts.portfolios import PortfolioSummary
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import retry_on_conflict


class AlertRules(Struct, frozen=True):
    """Reads and replaces alert rules, which are stored in the item of the series state."""

    store: SeriesStore
    queues: AnalyticsQueues
    clock: Clock

    def read(self, portfolio: PortfolioSummary) -> SeriesState:
        """Return the rules of a portfolio with their episodes."""
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        return self.store.state(*names) or SeriesState(
            tenant_id=portfolio.tenant_id, portfolio_id=portfolio.portfolio_id, updated_at=self.clock()
        )

    def replace(self, portfolio: PortfolioSummary, rules: Sequence[AlertRule]) -> SeriesState:
        """Replace all rules and request a valuation with the new rules.

        An unchanged rule keeps the episode; a changed rule keeps only the episode's number.
        """

        def attempt() -> SeriesState:
            state = self.read(portfolio)
            if state.rules == tuple(rules) and not state.unknown_rules and state.version:
                return state
            before = {rule.rule_id: rule for rule in state.rules}
            episodes = {
                rule.rule_id: episode if before.get(rule.rule_id) == rule else episode.reset()
                for rule in rules
                if (episode := state.episodes.get(rule.rule_id))
            }
            after = replace(
                state,
                rules=tuple(rules),
                unknown_rules=(),
                episodes=episodes,
                updated_at=self.clock(),
                version=state.version + 1,
                events=(),
            )
            self.store.put(after)
            return after

        state = retry_on_conflict(attempt)
        self.queues.request_valuations([(portfolio.tenant_id, portfolio.portfolio_id)], None)
        return state
