"""Rebalance service: accept drift reports, preview decisions, read rebalances and transactions."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Invalid, NotFound, Refusal, Unprocessable, invalid_cursor, not_found
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.drift import Transaction
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.report_decision import DriftReport, decide_report, find_refusal, request_rebalance
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.portfolios.rebalancing.user_transactions import list_user_transactions

TRANSACTION_PAGE = 25
TRANSACTION_PAGES = 4
ALL_LISTED = 1_000  # position after the last transaction of any rebalance
_ERRORS: Mapping[str, type[Refusal]] = {
    "unknown_portfolio": NotFound,
    "closed": Conflict,
    "stale": Conflict,
    "not_100": Invalid,
}


class RebalanceService(Struct, frozen=True):
    """Accepts drift reports, previews decisions and reads rebalances."""

    store: RebalanceStore
    requests: WorkerQueues
    clock: Clock

    def accept(self, caller: Caller, report: DriftReport) -> Rebalance:
        """Store the request of a drift report and queue the request for the worker. Idempotent by request id.

        If a crash prevents the queue message, a repeat by the client or the sweeper sends the message. Raises
        `Conflict` (`request_id_reused`) for another body under the same request id, and `NotFound`, `Invalid`,
        `Conflict` or `Unprocessable` for a report that is refused.
        """
        caller.require_acting_for(report.user_id)
        now = self.clock()
        portfolio = self.store.portfolio_named(caller.tenant_id, report.user_id, report.name)
        rebalance = request_rebalance(caller.tenant_id, report, report.as_of or now, now, portfolio)
        refusal = find_refusal(portfolio, rebalance, now)
        # A repeat of an accepted request gets the stored answer, even if the portfolio was closed in the meantime.
        stored = self._stored(rebalance) if refusal and portfolio else None
        if refusal is not None and stored is None:
            raise _error_of(refusal)
        stored = stored or retry_on_conflict(lambda: self.store.insert_rebalance(rebalance))
        if stored is not None and not report.matches(stored):
            raise Conflict(
                "request_id_reused",
                "This request id was used before with a different body. Use a new id for each request.",
            )
        if stored is None or stored.status is RebalanceStatus.REQUESTED:
            self.requests.wake(stored or rebalance)
        return stored or rebalance

    def preview(self, portfolio: Portfolio, weights: Mapping[str, Decimal], as_of: datetime | None) -> Rebalance:
        """Return the outcome that the worker would decide now, without storing the outcome."""
        now = self.clock()
        report = DriftReport(portfolio.user_id, portfolio.name, weights, as_of, "preview")
        rebalance = request_rebalance(portfolio.tenant_id, report, as_of or now, now, portfolio)
        refusal = find_refusal(portfolio, rebalance, now)
        if refusal is not None:
            raise _error_of(refusal)
        outcome, _ = decide_report(portfolio, rebalance, now)
        return outcome

    def get(self, portfolio: Portfolio, rebalance_id: str) -> Rebalance:
        """Return a rebalance of the portfolio; raises `NotFound`."""
        rebalance = self.store.rebalance(portfolio.tenant_id, portfolio.portfolio_id, rebalance_id)
        if rebalance is None:
            raise not_found("rebalance")
        return rebalance

    def list_rebalances(self, portfolio: Portfolio, *, limit: int, after: Any) -> Page[Rebalance]:
        """Return a page of the portfolio's rebalances, newest first."""
        return self.store.rebalances(portfolio.tenant_id, portfolio.portfolio_id, limit=limit, after=after)

    def list_transactions(self, portfolio: Portfolio, *, limit: int, after: Any) -> Page[tuple[Rebalance, Transaction]]:
        """Return a page of the transactions of a portfolio, newest rebalance first.

        A position names a rebalance and the number of its transactions already listed, so rebalances created in the
        meantime do not shift the pages. At most 100 further rebalances are read for a page: a page may have fewer than
        `limit` transactions although more follow.
        """
        found: list[tuple[Rebalance, Transaction]] = []
        position, listed = None, 0
        if after is not None:
            *position, listed = after or [-1]
            if isinstance(listed, bool) or not isinstance(listed, int) or listed < 0:
                raise invalid_cursor()
            first = self.store.rebalance_at(portfolio.tenant_id, portfolio.portfolio_id, position)
            found += [(first, each) for each in first.transactions[listed:]] if first else []
        for _ in range(TRANSACTION_PAGES):
            if len(found) >= limit:
                break
            page = self.list_rebalances(portfolio, limit=TRANSACTION_PAGE, after=position)
            found += [(rebalance, each) for rebalance in page.items for each in rebalance.transactions]
            position = page.next_position
            if position is None:
                break
        if len(found) <= limit:
            return Page(found, None if position is None else [*position, ALL_LISTED])
        last, each = found[limit - 1]
        return Page(found[:limit], [*self.store.position_of(last), last.transactions.index(each) + 1])

    def list_user_transactions(
        self, caller: Caller, user_id: str, *, limit: int, after: Any
    ) -> Page[tuple[Rebalance, Transaction]]:
        """Return a page of a user's transactions over all portfolios; see `user_transactions`."""
        caller.require_acting_for(user_id)
        return list_user_transactions(self.store, caller.tenant_id, user_id, limit=limit, after=after)

    def _stored(self, rebalance: Rebalance) -> Rebalance | None:
        return self.store.rebalance(rebalance.tenant_id, rebalance.portfolio_id, rebalance.rebalance_id)


def _error_of(refusal: Reason) -> Refusal:
    return _ERRORS.get(refusal.code, Unprocessable)(refusal.code, refusal.message)
