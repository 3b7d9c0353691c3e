"""Rebalances: accept a drift report at once, read what was decided about it later."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Invalid, NotFound, Refusal, Unprocessable, invalid_cursor, not_found
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.drift import Transaction
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, Report, Why, decide, refusal, requested
from trimtab.portfolios.rebalancing.store import RebalanceStore

TRANSACTION_PAGE = 25
TRANSACTION_PAGES = 4
ALL_GIVEN = 1_000  # more than a rebalance has transactions
_KINDS: Mapping[str, type[Refusal]] = {
    "unknown_portfolio": NotFound,
    "closed": Conflict,
    "stale": Conflict,
    "not_100": Invalid,
}


class Rebalances(Struct, frozen=True):
    """The rebalances of portfolios."""

    store: RebalanceStore
    requests: WorkerQueues
    clock: Clock

    def accept(self, caller: Caller, report: Report) -> Rebalance:
        """Stores the request and asks the worker to decide it; three calls, and the same answer to each repeat.

        A crash between storing and asking is mended by the client's repeat, or by the sweeper.
        """
        caller.require_acting_for(report.user_id)
        now = self.clock()
        rebalance = requested(caller.tenant_id, report, report.as_of or now, now)
        portfolio = self.store.portfolio(caller.tenant_id, rebalance.portfolio_id)
        why = refusal(portfolio, rebalance, now)
        # What was accepted once is answered the same again, whatever the portfolio has become since.
        stored = self._stored(rebalance) if why and portfolio else None
        if why is not None and stored is None:
            raise _as_refusal(why)
        stored = stored or retrying_on_conflict(lambda: self.store.insert_rebalance(rebalance))
        if stored is not None and stored.request_hash != rebalance.request_hash:
            raise Conflict("request_id_reused", "This request id came with another body; give each request its own.")
        if stored is None or stored.status is RebalanceStatus.REQUESTED:
            self.requests.wake(stored or rebalance)
        return stored or rebalance

    def preview(self, portfolio: Portfolio, weights: Mapping[str, Decimal], as_of: datetime | None) -> Rebalance:
        """What the worker would decide now; nothing is stored."""
        now = self.clock()
        report = Report(portfolio.user_id, portfolio.name, weights, as_of, "preview")
        rebalance = requested(portfolio.tenant_id, report, as_of or now, now)
        why = refusal(portfolio, rebalance, now)
        if why is not None:
            raise _as_refusal(why)
        return decide(portfolio, rebalance, now)[0]

    def get(self, portfolio: Portfolio, rebalance_id: str) -> Rebalance:
        """The rebalance of a portfolio."""
        rebalance = self.store.rebalance(portfolio.tenant_id, portfolio.portfolio_id, rebalance_id)
        if rebalance is None:
            raise not_found("rebalance")
        return rebalance

    def list(self, portfolio: Portfolio, *, limit: int, after: Any) -> Page[Rebalance]:
        """The rebalances of a portfolio."""
        return self.store.rebalances(portfolio.tenant_id, portfolio.portfolio_id, limit=limit, after=after)

    def transactions(self, portfolio: Portfolio, *, limit: int, after: Any) -> Page[tuple[Rebalance, Transaction]]:
        """The transactions of a portfolio's rebalances, newest rebalance first, each rebalance's in their order.

        A position names the rebalance that was being given and how many of its transactions were, so that what comes
        newer moves nothing. Reads a bounded number of rebalances: a page may be short and still have a successor.
        """
        found: list[tuple[Rebalance, Transaction]] = []
        position, given = None, 0
        if after is not None:
            *position, given = after or [-1]
            if isinstance(given, bool) or not isinstance(given, int) or given < 0:
                raise invalid_cursor()
            begun = self.store.rebalance_at(portfolio.tenant_id, portfolio.portfolio_id, position)
            found += [(begun, each) for each in begun.transactions[given:]] if begun else []
        for _ in range(TRANSACTION_PAGES):
            if len(found) >= limit:
                break
            page = self.list(portfolio, limit=TRANSACTION_PAGE, after=position)
            found += [(rebalance, each) for rebalance in page.items for each in rebalance.transactions]
            position = page.next_position
            if position is None:
                break
        if len(found) <= limit:
            return Page(found, None if position is None else [*position, ALL_GIVEN])
        last, each = found[limit - 1]
        return Page(found[:limit], [*self.store.position_of(last), last.transactions.index(each) + 1])

    def _stored(self, rebalance: Rebalance) -> Rebalance | None:
        return self.store.rebalance(rebalance.tenant_id, rebalance.portfolio_id, rebalance.rebalance_id)


def _as_refusal(why: Why) -> Refusal:
    return _KINDS.get(why.rule, Unprocessable)(why.rule, why.detail)
