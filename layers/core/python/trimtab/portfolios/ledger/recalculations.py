"""Recalculations: trades whose fold takes longer than a client can wait, written by a worker."""

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Refusal
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.portfolios.ledger.posting import booked
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ports import Ledger


class Recalculations(Struct, frozen=True):
    """What the worker of the queue `recalculations` does."""

    ledger: Ledger
    clock: Clock

    def run(self, tenant_id: str, portfolio_id: str, job_id: str) -> Recalculation | None:
        """The recalculation, done: its trade written with the holding, or the reason why not. None if there is none.

        One transaction ends it and unlocks the portfolio, so a repeat finds nothing to do.
        """

        def attempt() -> Recalculation | None:
            portfolio, job = self.ledger.portfolio_and_job(tenant_id, portfolio_id, job_id)
            if portfolio is None or job is None or not job.is_open:
                return job
            now, trade = self.clock(), job.trade
            portfolio = portfolio.unlocked_by(job_id, now)
            before = self.ledger.trade(tenant_id, portfolio_id, trade.ref_id)
            quote = self.ledger.quotes([trade.symbol]).get(trade.symbol)
            try:
                if trade.version != 1 + (before.version if before else 0):
                    raise Conflict("superseded", "The trade was changed after this was asked for.")
                trade, after = booked(self.ledger, portfolio, quote, before, trade, now=now)
            except Refusal as refusal:
                ended = job.rejected(refusal.detail, now)
                self.ledger.put(ended, portfolio.booked(now, cash=portfolio.cash))
                return ended
            ended = job.completed(now)
            self.ledger.put(ended, trade, after)
            return ended

        return retrying_on_conflict(attempt)
