"""Worker of drift reports: decide each report once; write the outcome and the changed portfolio atomically."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.messages import RebalanceRequested
from trimtab.kernel import ids
from trimtab.kernel.clock import Clock
from trimtab.kernel.money import ZERO, normalise_percents
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.report_decision import DriftReport, decide_report, request_rebalance
from trimtab.portfolios.rebalancing.store import RebalanceStore


class ReportWorker(Struct, frozen=True):
    """Worker of the queue `rebalance-requests`."""

    store: RebalanceStore
    clock: Clock

    def decide(self, message: RebalanceRequested, sent_at: datetime) -> Rebalance:
        """Decide the report of a message and return the recorded outcome; a repeated message changes nothing.

        Makes two calls: a read of portfolio and rebalance, and one transaction; a renamed portfolio needs further
        reads. Raises `Conflict` if concurrent changes of the portfolio exhaust the retries; the message must then be
        delivered again.
        """
        report = _report_of(message)
        as_of = message.as_of or sent_at

        def attempt() -> Rebalance:
            tenant_id, now = message.tenant_id, self.clock()
            request = request_rebalance(tenant_id, report, as_of, now)
            portfolio, stored = self.store.portfolio_and_rebalance(
                tenant_id, request.portfolio_id, request.rebalance_id
            )
            if portfolio is None and stored is None:
                portfolio = self.store.portfolio_named(tenant_id, report.user_id, report.name)
                request = request_rebalance(tenant_id, report, as_of, now, portfolio)
                stored = self._stored(request) if portfolio else None
            if stored is not None and not report.matches(stored):
                return self._refuse_reused_id(request)
            if stored is not None and stored.status is not RebalanceStatus.REQUESTED:
                return stored
            outcome, after = decide_report(portfolio, stored or before_first_version(request), self.clock())
            self.store.put(outcome, *([after] if after else []))
            return outcome

        return retry_on_conflict(attempt)

    def _stored(self, request: Rebalance) -> Rebalance | None:
        return self.store.rebalance(request.tenant_id, request.portfolio_id, request.rebalance_id)

    def _refuse_reused_id(self, request: Rebalance) -> Rebalance:
        """Record a REJECTED rebalance for another body under a used request id; the first one is unchanged."""
        own_id = ids.derive_id(request.portfolio_id, request.request_id, request.request_hash)
        second = before_first_version(replace(request, rebalance_id=own_id))
        reason = Reason(
            "request_id_reused", "This request id was used before with a different body. Use a new id for each request."
        )
        outcome = second.record_outcome(RebalanceStatus.REJECTED, reason, self.clock())
        return self.store.insert_rebalance(outcome) or outcome


def _report_of(message: RebalanceRequested) -> DriftReport:
    """Return the report of a message; weights that cannot be normalised stay as sent, and are rejected."""
    sent = message.new_allocation
    corrected = normalise_percents(sent) if message.normalise else None
    is_corrected = corrected is not None and corrected != sent
    total = sum(sent.values(), ZERO) if is_corrected else None
    return DriftReport(
        message.user_id, message.name, corrected or sent, message.as_of, message.request_id, normalised_sum=total
    )


def before_first_version(rebalance: Rebalance) -> Rebalance:
    """Return a rebalance that is not stored yet with version 0, so that its outcome is stored as version 1."""
    return replace(rebalance, version=0)
