"""Actions of persons: run a rebalance, cancel a rebalance, resolve a stale portfolio."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel import ids
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock, format_time
from trimtab.kernel.currencies import minor_units, require_decimals
from trimtab.kernel.errors import Conflict, Unprocessable, not_found
from trimtab.kernel.money import ZERO, plain
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.balancing import check_decision
from trimtab.portfolios.execution import state_machine
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.new_entries import RebalanceTrade
from trimtab.portfolios.ledger.posting import post_fills
from trimtab.portfolios.ledger.service import require_owned
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, Trigger
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus, new_rebalance, rebalance_id_of
from trimtab.portfolios.rebalancing.store import RebalanceStore

MAX_ADJUSTED = 90
"""Adjusted holdings of one resolution: with portfolio, rebalance and cash fewer than the 100 items of a transaction."""


class Resolution(Struct, frozen=True):
    """The present state of a stale portfolio, as found by an operator.

    `holdings`: quantities by symbol, after any split. Omitted symbols, and a cash of None, stay unchanged.
    """

    reason: str
    holdings: Mapping[str, Decimal]
    cash: Decimal | None


class OperatorActions(Struct, frozen=True):
    """Actions of persons on a portfolio and on rebalances."""

    store: RebalanceStore
    ledger: LedgerStore
    queues: WorkerQueues
    clock: Clock

    def request_rebalance(self, caller: Caller, portfolio_id: str, mode: Mode | None, request_id: str) -> Rebalance:
        """Accept a rebalance, to be decided by the worker of price checks; idempotent by `request_id`."""
        portfolio = require_owned(self.store.portfolio(caller.tenant_id, portfolio_id), caller)
        requested = _requested_rebalance(portfolio, mode, request_id, self.clock())
        refusal = check_decision.find_refusal(portfolio)
        stored = self.store.rebalance(portfolio.tenant_id, portfolio_id, requested.rebalance_id) if refusal else None
        if refusal is not None and stored is None:
            raise error_of(refusal)
        stored = stored or retry_on_conflict(lambda: self.store.insert_rebalance(requested))
        if stored is not None and not ids.is_same_request(stored.request_hash, lambda form: _request_hash(mode, form)):
            raise Conflict(
                "request_id_reused", "The request id was used with another body; use a new one for each request."
            )
        if stored is None or stored.status is RebalanceStatus.REQUESTED:
            self.queues.wake(stored or requested)
        return stored or requested

    def cancel_rebalance(self, caller: Caller, portfolio_id: str, rebalance_id: str) -> Rebalance:
        """Cancel a rebalance: at once if nothing was sent, else the worker sends no later wave.

        Fills are reversed or kept, according to the policy. Raises `Conflict` if the rebalance has ended or is being
        reversed already.
        """

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
                self.store.put(ended, portfolio.release(now, EvaluationCause.REFUSED, rebalanced=False))
            elif rebalance.status is RebalanceStatus.EXECUTING and journal:
                ended = rebalance.transition(rebalance.status, now, execution=replace(journal, is_cancelled=True))
                self.store.put(ended)
                self.queues.wake(ended)
            else:
                raise Conflict("too_late", f"The rebalance is {rebalance.status}; it can no longer be cancelled.")
            return ended

        return retry_on_conflict(attempt)

    def resolve_portfolio(self, caller: Caller, portfolio_id: str, resolution: Resolution) -> Portfolio:
        """Make a stale portfolio active again, with the holdings and cash that an operator found.

        Differences are posted as adjustments. The rebalance keeps an audit record: who resolved it, when, why, and
        the state before.
        """

        def attempt() -> Portfolio:
            portfolio = require_owned(self.store.portfolio(caller.tenant_id, portfolio_id), caller)
            require_decimals("cash", resolution.cash or ZERO, portfolio.currency)
            if portfolio.status is not PortfolioStatus.STALE or portfolio.lock is None:
                raise Conflict(
                    "not_stale", f"The portfolio is {portfolio.status}; only a stale portfolio can be resolved."
                )
            rebalance = self.store.rebalance(portfolio.tenant_id, portfolio_id, portfolio.lock.owner)
            if rebalance is None:
                raise not_found("rebalance")
            now = self.clock()
            recorded = self._after_splits(portfolio, resolution.holdings)
            trades = _adjustments(recorded, rebalance.rebalance_id, resolution.holdings, now)
            after = post_fills(self.ledger, portfolio, trades, now)
            entry = _cash_entry(portfolio, rebalance.rebalance_id, resolution.cash, now)
            if entry is not None:
                after = after.add_cash((resolution.cash or ZERO) - (after.cash or ZERO), now)
            if resolution.cash is None and after.cash is not None and after.cash < 0:
                raise Unprocessable(
                    "insufficient_cash", f"The recorded cash is {plain(after.cash)}: give the actual `cash`."
                )
            audit = _audit(recorded, caller, resolution, now)
            resolved = rebalance.transition(RebalanceStatus.RESOLVED, now, resolution=audit)
            after = replace(after, version=portfolio.version).resolve(now)
            self.ledger.put(resolved, after, *trades, *([entry] if entry else []))
            return after

        return retry_on_conflict(attempt)

    def lift_quarantine(self, caller: Caller, portfolio_id: str, symbol: str, reason: str) -> Portfolio:
        """Lift the quarantine of a symbol; the rebalance whose order was refused keeps an audit record."""

        def attempt() -> Portfolio:
            portfolio, now = require_owned(self.store.portfolio(caller.tenant_id, portfolio_id), caller), self.clock()
            quarantine = portfolio.brake.in_quarantine(now).get(symbol)
            if quarantine is None:
                raise not_found("quarantine")
            lifted = portfolio.lift_quarantine(symbol, now, by=caller.subject, reason=reason)
            rebalance = self.store.rebalance(portfolio.tenant_id, portfolio_id, quarantine.rebalance_id)
            self.store.put(lifted, *([_record_lift(rebalance, caller, symbol, reason, now)] if rebalance else []))
            return lifted

        return retry_on_conflict(attempt)

    def _after_splits(self, portfolio: Portfolio, symbols: Iterable[str]) -> Portfolio:
        """Return the portfolio with the splits since the last trade applied to its holdings of these symbols."""
        quotes = self.ledger.quotes(sorted(symbols))
        return replace(portfolio, holdings=HoldingsReader(self.ledger, self.clock).apply_splits(portfolio, quotes))


def error_of(refusal: Reason) -> Conflict | Unprocessable:
    """Return the error that answers the request of a rebalance that is refused at once."""
    return (Unprocessable if refusal.code == "no_target" else Conflict)(refusal.code, refusal.message)


def _request_hash(mode: Mode | None, form: int = 1) -> str:
    """Return the hash of a requested rebalance in this version of the hash."""
    match form:
        case 1:
            return ids.request_hash(1, {"mode": mode})
        case _:
            raise UnknownForm("request hash of a rebalance", form)


def _requested_rebalance(portfolio: Portfolio, mode: Mode | None, request_id: str, now: datetime) -> Rebalance:
    rebalance_id = rebalance_id_of(portfolio.portfolio_id, request_id)
    request_hash = _request_hash(mode)
    return new_rebalance(portfolio, rebalance_id, request_id, request_hash, now, trigger=Trigger.MANUAL, mode=mode)


def _adjustments(portfolio: Portfolio, rebalance_id: str, actual: Mapping[str, Decimal], now: datetime) -> list[Trade]:
    """Return a trade for each symbol whose actual quantity differs from the recorded quantity."""
    held = {symbol: holding.quantity for symbol, holding in portfolio.holdings.items()}
    differences = {symbol: quantity - held.get(symbol, ZERO) for symbol, quantity in sorted(actual.items())}
    differences = {symbol: difference for symbol, difference in differences.items() if difference}
    if len(differences) > MAX_ADJUSTED:
        raise Unprocessable(
            "too_many_adjustments",
            f"At most {MAX_ADJUSTED} holdings can be adjusted at once; resolve the rest with trades.",
        )
    adjustments = [
        RebalanceTrade(
            ids.derive_id(rebalance_id, "resolved", symbol),
            symbol,
            Side.BUY if difference > 0 else Side.SELL,
            abs(difference),
        )
        for symbol, difference in differences.items()
    ]
    return [adjustment.to_trade(portfolio, rebalance_id, now) for adjustment in adjustments]


def _cash_entry(portfolio: Portfolio, rebalance_id: str, actual: Decimal | None, now: datetime) -> CashEntry | None:
    before = portfolio.cash or ZERO
    if actual is None or actual == before:
        return None
    type = CashType.DEPOSIT if actual > before else CashType.WITHDRAWAL
    ref_id = f"resolved:{rebalance_id}"
    key = (portfolio.tenant_id, portfolio.portfolio_id, ref_id)
    units = minor_units(portfolio.currency)
    return CashEntry(*key, type, abs(actual - before), now, now, minor_units=units).with_event(portfolio.user_id)


def _record_lift(rebalance: Rebalance, caller: Caller, symbol: str, reason: str, now: datetime) -> Rebalance:
    audit = {"by": caller.subject, "at": format_time(now), "reason": reason}
    before = dict(rebalance.resolution or {})
    resolution = {**before, "lifted": {**before.get("lifted", {}), symbol: audit}}
    return rebalance.transition(rebalance.status, now, resolution=resolution)


def _audit(portfolio: Portfolio, caller: Caller, resolution: Resolution, now: datetime) -> dict[str, object]:
    changed = {
        symbol: [plain(portfolio.holdings[symbol].quantity if symbol in portfolio.holdings else ZERO), plain(quantity)]
        for symbol, quantity in sorted(resolution.holdings.items())
    }
    cash = [None if amount is None else plain(amount) for amount in (portfolio.cash, resolution.cash)]
    return {
        "by": caller.subject,
        "at": format_time(now),
        "reason": resolution.reason,
        "stale_reason": portfolio.stale_reason,
        "holdings": changed,
        "cash": cash,
    }
