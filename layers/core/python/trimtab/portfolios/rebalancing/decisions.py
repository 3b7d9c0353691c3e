"""Decisions: each drift report is decided once, and its outcome is written together with what it changes."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.messages import RebalanceRequested
from trimtab.kernel import ids
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, Report, Why, decide, requested
from trimtab.portfolios.rebalancing.store import RebalanceStore


class Decisions(Struct, frozen=True):
    """What the queue worker does."""

    store: RebalanceStore
    clock: Clock

    def decide(self, message: RebalanceRequested, sent_at: datetime) -> Rebalance:
        """The outcome of the message, recorded exactly once; a repeat reads it and changes nothing.

        Two calls: both items, then one transaction from the request to its outcome. Raises `Conflict` where others
        keep changing the portfolio: the message is to be delivered again.
        """
        report = requested(
            message.tenant_id,
            Report(message.user_id, message.name, message.new_allocation, message.as_of, message.request_id),
            message.as_of or sent_at,
            self.clock(),
        )

        def attempt() -> Rebalance:
            portfolio, stored = self.store.portfolio_and_rebalance(
                report.tenant_id, report.portfolio_id, report.rebalance_id
            )
            if stored is not None and stored.request_hash != report.request_hash:
                return self._refuse_reuse(report)
            if stored is not None and stored.status is not RebalanceStatus.REQUESTED:
                return stored
            outcome, after = decide(portfolio, stored or first_decision(report), self.clock())
            self.store.put(outcome, *([after] if after else []))
            return outcome

        return retrying_on_conflict(attempt)

    def _refuse_reuse(self, report: Rebalance) -> Rebalance:
        """The recorded refusal of a second body under a request id; the first one's outcome is left alone."""
        second = replace(
            report, rebalance_id=ids.derive_id(report.portfolio_id, report.request_id, report.request_hash)
        )
        why = Why("request_id_reused", "This request id came with another body before; give each request its own.")
        outcome = first_decision(second).decided(RebalanceStatus.REJECTED, why, self.clock())
        return self.store.insert_rebalance(outcome) or outcome


def first_decision(report: Rebalance) -> Rebalance:
    """A report that nobody stored before its decision: the outcome will be its first version."""
    return replace(report, version=0)
