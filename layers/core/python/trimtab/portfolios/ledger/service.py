"""Trades and cash: each is recorded, or corrected, in one write together with the holding and the cash it changes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.contracts.quotes import Quote
from trimtab.kernel import ids
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock, format_time
from trimtab.kernel.errors import Conflict, Refusal, no_such_thing
from trimtab.kernel.money import ZERO, plain
from trimtab.kernel.retry import ConditionFailed, retrying_on_conflict
from trimtab.portfolios.ledger.posting import TooManyTrades, booked
from trimtab.portfolios.ledger.recalculation import Recalculation, begun
from trimtab.portfolios.ledger.trades import CashEntry, CashType, Trade, require_not_ahead
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.ports import Ledger, Listing, Requests, TradeFilter

MAX_FOLD = 10_000  # trades that are read and folded while a client waits: two to three seconds


class NewTrade(Struct, frozen=True):
    """A trade as a client gives it; without `executed_at` it happened when it is recorded."""

    ref_id: str
    side: Side
    security_type: SecurityType
    symbol: str
    quantity: Decimal
    amount: Decimal
    fees: Decimal
    status: TradeStatus
    executed_at: datetime | None

    def request_hash(self) -> str:
        """Tells a repeat from another trade under the same id, however its numbers are written."""
        numbers = [plain(number) for number in (self.quantity, self.amount, self.fees)]
        at = self.executed_at and format_time(self.executed_at)
        return ids.fingerprint(self.side, self.security_type, self.symbol, *numbers, self.status, at)

    def to_trade(self, portfolio: Portfolio, now: datetime) -> Trade:
        """Its first revision in that portfolio; without a time it comes after all that is recorded of its symbol."""
        holding = portfolio.holdings.get(self.symbol)
        if holding is not None and holding.last is not None:
            next_time = max(now, holding.last[0] + timedelta(microseconds=1))
        else:
            next_time = now
        return Trade(
            tenant_id=portfolio.tenant_id,
            portfolio_id=portfolio.portfolio_id,
            user_id=portfolio.user_id,
            ref_id=self.ref_id,
            side=self.side,
            security_type=self.security_type,
            symbol=self.symbol,
            quantity=self.quantity,
            amount=self.amount,
            fees=self.fees,
            status=self.status,
            executed_at=self.executed_at or next_time,
            request_hash=self.request_hash(),
            created_at=now,
            updated_at=now,
        ).announced()


class NewCashEntry(Struct, frozen=True):
    """A cash entry as a client gives it; without `executed_at` it happened when it is recorded."""

    ref_id: str
    type: CashType
    amount: Decimal
    executed_at: datetime | None = None

    def is_repeated_by(self, stored: CashEntry) -> bool:
        """Whether what is stored is this very entry."""
        same = (self.type, self.amount) == (stored.type, stored.amount)
        return same and self.executed_at in {None, stored.executed_at}

    def to_entry(self, portfolio: Portfolio, now: datetime) -> CashEntry:
        """The entry in that portfolio, with the balance after it."""
        entry = CashEntry(
            tenant_id=portfolio.tenant_id,
            portfolio_id=portfolio.portfolio_id,
            ref_id=self.ref_id,
            type=self.type,
            amount=self.amount,
            balance=(portfolio.cash or ZERO) + self.type.sign * self.amount,
            executed_at=self.executed_at or now,
            created_at=now,
        )
        return entry.announced(portfolio.user_id)


class Trades(Struct, frozen=True):
    """The trades and cash entries of portfolios. Each attempt reads, decides and writes on the version it read."""

    ledger: Ledger
    requests: Requests
    clock: Clock

    def record(self, caller: Caller, portfolio_id: str, new: NewTrade) -> Trade | Recalculation:
        """The recorded trade; the same trade again answers as the first did.

        Two calls where the trade is the newest of its symbol: one read, one transaction. Where too many trades would
        have to be folded for it, the recalculation that a worker was asked for; the portfolio is locked until then.
        """

        def attempt() -> Trade | Recalculation:
            portfolio, quote = self.ledger.portfolio_and_quote(caller.tenant_id, portfolio_id, new.symbol)
            portfolio = owned(portfolio, caller)
            trade = new.to_trade(portfolio, self.clock())
            try:
                require_not_ahead(trade.executed_at, self.clock())
                return self._write(portfolio, quote, None, trade)
            except (Refusal, ConditionFailed):
                # A repeat meets what its first delivery did: then that one's answer is the answer.
                stored = self.ledger.trade(caller.tenant_id, portfolio_id, new.ref_id)
                if stored is None:
                    raise
                require_same(stored.request_hash, trade.request_hash)
                return stored.as_first_recorded()

        return retrying_on_conflict(attempt)

    def correct(
        self, caller: Caller, portfolio_id: str, ref_id: str, change: Mapping[str, Any]
    ) -> Trade | Recalculation:
        """The trade with some members changed; the holding becomes the fold of all trades as they are then.

        Where those are too many, the recalculation that a worker was asked for.
        """

        def attempt() -> Trade | Recalculation:
            now = self.clock()
            portfolio, trade = self.ledger.portfolio_and_trade(caller.tenant_id, portfolio_id, ref_id)
            portfolio = owned(portfolio, caller)
            if trade is None:
                raise no_such_thing()
            corrected = trade.corrected(change, by=caller.subject, now=now)
            if corrected is trade:
                return trade
            require_not_ahead(corrected.executed_at, now)
            quote = self.ledger.quotes([trade.symbol]).get(trade.symbol)
            return self._write(portfolio, quote, trade, corrected)

        return retrying_on_conflict(attempt)

    def job(self, portfolio: Portfolio, job_id: str) -> Recalculation:
        """A recalculation of the portfolio."""
        _, job = self.ledger.portfolio_and_job(portfolio.tenant_id, portfolio.portfolio_id, job_id)
        if job is None:
            raise no_such_thing()
        return job

    def list(self, portfolio: Portfolio, wanted: TradeFilter, *, limit: int, after: Any) -> Listing[Trade]:
        """The trades that the filter lets through, latest execution first."""
        return self.ledger.trades(portfolio.tenant_id, portfolio.portfolio_id, wanted, limit=limit, after=after)

    def move_cash(self, caller: Caller, portfolio_id: str, wanted: NewCashEntry) -> CashEntry:
        """The recorded entry; the same entry again answers as the first did."""

        def attempt() -> CashEntry:
            portfolio, stored = self.ledger.portfolio_and_cash_entry(caller.tenant_id, portfolio_id, wanted.ref_id)
            portfolio = owned(portfolio, caller)
            if stored is not None:
                if not wanted.is_repeated_by(stored):
                    raise _reused()
                return stored
            now = self.clock()
            require_not_ahead(wanted.executed_at or now, now)
            if wanted.type.sign > 0:
                portfolio.require_open_to_deposits()
            else:
                portfolio.require_tradable(now)
            entry = wanted.to_entry(portfolio, now)
            self.ledger.put(entry, portfolio.booked(now, cash=entry.balance))
            return entry

        return retrying_on_conflict(attempt)

    def _write(
        self, portfolio: Portfolio, quote: Quote | None, before: Trade | None, after: Trade
    ) -> Trade | Recalculation:
        now = self.clock()
        try:
            after, booked_portfolio = booked(self.ledger, portfolio, quote, before, after, now=now, most=MAX_FOLD)
            self.ledger.put(after, booked_portfolio)
        except TooManyTrades:
            job, locked = begun(portfolio, after, now)
            self.ledger.put(job, locked)
            self.requests.send(job)
            return job
        return after


def owned(portfolio: Portfolio | None, caller: Caller) -> Portfolio:
    """The portfolio, `NotFound` where it is not there or not the caller's."""
    if portfolio is None:
        raise no_such_thing()
    caller.require_owner(portfolio.user_id)
    return portfolio


def require_same(stored_hash: str, request_hash: str) -> None:
    """`Conflict` where an id comes again with another body."""
    if stored_hash != request_hash:
        raise _reused()


def _reused() -> Conflict:
    return Conflict("ref_id_reused", "This ref_id came with another body before; give each its own.")
