"""Worker of the queue `recalculations`: records trades that need too many trades folded while a client waits."""

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Refusal
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.ledger.posting import post_trade
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade


class RecalculationWorker(Struct, frozen=True):
    """Completes or rejects recalculations."""

    ledger: LedgerStore
    clock: Clock

    def run(self, tenant_id: str, portfolio_id: str, job_id: str) -> Recalculation | None:
        """Record the trade of a job, or the reason against it; return the ended job, None where there is no such job.

        One transaction ends the job, writes the trade and unlocks the portfolio, so a repeated message has no effect.
        Raises `Conflict` where the portfolio is stale, closed, or locked by another owner.
        """

        def attempt() -> Recalculation | None:
            portfolio, job = self.ledger.portfolio_and_job(tenant_id, portfolio_id, job_id)
            if portfolio is None or job is None or not job.is_open:
                return job
            now, trade = self.clock(), job.trade
            portfolio = portfolio.release_lock_of(job_id, now)
            item = self.ledger.item(tenant_id, portfolio_id, trade.sort_key)
            before = Trade.from_item(item) if item else None
            legs = (*trade.legs, *(before.legs if before else ()))
            quotes = self.ledger.quotes(sorted({leg.symbol for leg in legs}))
            try:
                if trade.version != 1 + (before.version if before else 0):
                    raise Conflict("superseded", "The trade was changed after the recalculation was requested.")
                posted_trade, posted = post_trade(self.ledger, portfolio, quotes, before, trade, now=now)
            except Refusal as refusal:
                ended = job.reject(refusal.detail, now)
                self.ledger.put(ended, portfolio.post(now))
                return ended
            ended = job.complete(now)
            self.ledger.put(ended, *posted_trade.legs, posted)
            return ended

        return retry_on_conflict(attempt)
