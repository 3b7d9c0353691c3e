"""Control: what a person asks of the balancing: run it, cancel it, say what a stale portfolio holds."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel import ids
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock, format_time
from trimtab.kernel.errors import Conflict, Unprocessable, not_found
from trimtab.kernel.money import ZERO, plain
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.portfolios.balancing import check_decision as checks
from trimtab.portfolios.execution import state_machine
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.new_entries import RebalanceTrade
from trimtab.portfolios.ledger.posting import post_fills
from trimtab.portfolios.ledger.service import require_owned
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio, PortfolioStatus
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.watch_state import Trigger, WatchDue
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, rebalance_id_of
from trimtab.portfolios.rebalancing.store import RebalanceStore

MAX_ADJUSTED = 90


class Resolution(Struct, frozen=True):
    """What an operator found a stale portfolio to hold now, after any split: quantity by symbol and cash; what is left
    out is as it was."""

    reason: str
    holdings: Mapping[str, Decimal]
    cash: Decimal | None


class Control(Struct, frozen=True):
    """What persons ask for. Each is load, decide, save."""

    store: RebalanceStore
    ledger: LedgerStore
    requests: WorkerQueues
    clock: Clock

    def request(self, caller: Caller, portfolio_id: str, mode: Mode | None, request_id: str) -> Rebalance:
        """The rebalance that was asked for, to be decided by a worker; the same request again answers the same."""
        portfolio = require_owned(self.store.portfolio(caller.tenant_id, portfolio_id), caller)
        wanted = _asked_for(portfolio, mode, request_id, self.clock())
        refused = checks.refused(portfolio)
        stored = self.store.rebalance(portfolio.tenant_id, portfolio_id, wanted.rebalance_id) if refused else None
        if refused is not None and stored is None:
            raise (Unprocessable if refused.rule == "no_target" else Conflict)(refused.rule, refused.detail)
        stored = stored or retrying_on_conflict(lambda: self.store.insert_rebalance(wanted))
        if stored is not None and stored.request_hash != wanted.request_hash:
            raise Conflict("request_id_reused", "This request id came with another body; give each request its own.")
        if stored is None or stored.status is RebalanceStatus.REQUESTED:
            self.requests.wake(stored or wanted)
        return stored or wanted

    def cancel(self, caller: Caller, portfolio_id: str, rebalance_id: str) -> Rebalance:
        """Cancelled at once where nothing was sent; else no later wave is sent, and what was filled is reversed or
        kept, by policy. `Conflict` where it is too late."""

        def attempt() -> Rebalance:
            portfolio, rebalance = self.store.portfolio_and_rebalance(caller.tenant_id, portfolio_id, rebalance_id)
            portfolio, now = require_owned(portfolio, caller), self.clock()
            if rebalance is None:
                raise not_found("rebalance")
            journal = rebalance.execution
            if rebalance.status is RebalanceStatus.CANCELLED or (journal and journal.is_cancelled):
                return rebalance
            if rebalance.status is RebalanceStatus.REQUESTED:
                ended = state_machine.cancel_unsent(rebalance, now, "Cancelled before it was decided.")
                self.store.put(ended)
            elif rebalance.status is RebalanceStatus.PLANNED:
                ended = state_machine.cancel_unsent(rebalance, now, "Cancelled before anything was sent.")
                self.store.put(ended, portfolio.released(now, WatchDue.REFUSED, rebalanced=False))
            elif rebalance.status is RebalanceStatus.EXECUTING and journal:
                ended = rebalance.moved_to(rebalance.status, now, execution=replace(journal, is_cancelled=True))
                self.store.put(ended)
                self.requests.wake(ended)
            else:
                raise Conflict("too_late", f"The rebalance is {rebalance.status}; there is nothing left to cancel.")
            return ended

        return retrying_on_conflict(attempt)

    def resolve(self, caller: Caller, portfolio_id: str, resolution: Resolution) -> Portfolio:
        """The portfolio as an operator has found it, active again. What differs is booked as adjustments, and the
        rebalance keeps who said so, when, why, and what it was before."""

        def attempt() -> Portfolio:
            portfolio = require_owned(self.store.portfolio(caller.tenant_id, portfolio_id), caller)
            if portfolio.status is not PortfolioStatus.STALE or portfolio.lock is None:
                raise Conflict("not_stale", f"The portfolio is {portfolio.status}; only a stale one is resolved.")
            rebalance = self.store.rebalance(portfolio.tenant_id, portfolio_id, portfolio.lock.owner)
            if rebalance is None:
                raise not_found("rebalance")
            now = self.clock()
            thought = self._as_of_now(portfolio, resolution.holdings)
            trades = _adjustments(thought, rebalance.rebalance_id, resolution.holdings, now)
            after = post_fills(self.ledger, portfolio, trades, now)
            entry = _cash_entry(portfolio, rebalance.rebalance_id, resolution.cash, now)
            if resolution.cash is not None:
                after = replace(after, cash=resolution.cash)
            if after.cash is not None and after.cash < 0:
                raise Unprocessable("insufficient_cash", f"Its cash is {plain(after.cash)}: say what it really is.")
            note = _audit(thought, caller, resolution, now)
            resolved = rebalance.moved_to(RebalanceStatus.RESOLVED, now, resolution=note)
            after = replace(after, version=portfolio.version).resolved(now)
            self.ledger.put(resolved, after, *trades, *([entry] if entry else []))
            return after

        return retrying_on_conflict(attempt)

    def _as_of_now(self, portfolio: Portfolio, symbols: Iterable[str]) -> Portfolio:
        """The portfolio with the splits since the last trade in its holdings of these symbols: as an operator sees it,
        and as booking a trade makes it."""
        quotes = self.ledger.quotes(sorted(symbols))
        return replace(portfolio, holdings=HoldingsReader(self.ledger, self.clock).apply_splits(portfolio, quotes))


def _asked_for(portfolio: Portfolio, mode: Mode | None, request_id: str, now: datetime) -> Rebalance:
    return Rebalance(
        tenant_id=portfolio.tenant_id,
        portfolio_id=portfolio.portfolio_id,
        rebalance_id=rebalance_id_of(portfolio.portfolio_id, request_id),
        user_id=portfolio.user_id,
        name=portfolio.name,
        request_id=request_id,
        request_hash=ids.fingerprint("run", mode),
        weights={},
        as_of=now,
        created_at=now,
        updated_at=now,
        trigger=Trigger.PERSON,
        mode=mode,
    )


def _adjustments(portfolio: Portfolio, rebalance_id: str, agreed: Mapping[str, Decimal], now: datetime) -> list[Trade]:
    """One trade for each symbol of which another quantity is held than was thought."""
    held = {symbol: holding.quantity for symbol, holding in portfolio.holdings.items()}
    moved = {symbol: quantity - held.get(symbol, ZERO) for symbol, quantity in sorted(agreed.items())}
    moved = {symbol: difference for symbol, difference in moved.items() if difference}
    if len(moved) > MAX_ADJUSTED:
        raise Unprocessable("too_many_adjustments", f"At most {MAX_ADJUSTED} holdings are adjusted at once.")
    found = [
        RebalanceTrade(
            ids.derive_id(rebalance_id, "resolved", symbol),
            symbol,
            Side.BUY if difference > 0 else Side.SELL,
            abs(difference),
        )
        for symbol, difference in moved.items()
    ]
    return [trade.to_trade(portfolio, rebalance_id, now) for trade in found]


def _cash_entry(portfolio: Portfolio, rebalance_id: str, agreed: Decimal | None, now: datetime) -> CashEntry | None:
    before = portfolio.cash or ZERO
    if agreed is None or agreed == before:
        return None
    type = CashType.DEPOSIT if agreed > before else CashType.WITHDRAWAL
    ref_id = f"resolved:{rebalance_id}"
    named = (portfolio.tenant_id, portfolio.portfolio_id, ref_id)
    return CashEntry(*named, type, abs(agreed - before), agreed, now, now).with_event(portfolio.user_id)


def _audit(portfolio: Portfolio, caller: Caller, resolution: Resolution, now: datetime) -> dict[str, object]:
    changed = {
        symbol: [plain(portfolio.holdings[symbol].quantity if symbol in portfolio.holdings else ZERO), plain(quantity)]
        for symbol, quantity in sorted(resolution.holdings.items())
    }
    cash = [None if each is None else plain(each) for each in (portfolio.cash, resolution.cash)]
    return {
        "by": caller.subject,
        "at": format_time(now),
        "reason": resolution.reason,
        "stale_reason": portfolio.stale_reason,
        "holdings": changed,
        "cash": cash,
    }
