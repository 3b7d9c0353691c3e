"""Withdrawals that raise their cash: accepted once, refused before anything is sold where the portfolio cannot pay."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel import ids
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.currencies import require_decimals
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import plain
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.balancing.decision_reader import DecisionReader
from trimtab.portfolios.balancing.withdrawal_decision import INSUFFICIENT_FUNDS
from trimtab.portfolios.ledger.service import require_owned
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, Withdrawal, new_rebalance, rebalance_id_of
from trimtab.portfolios.rebalancing.store import RebalanceStore


class WithdrawalService(Struct, frozen=True):
    """Accepts withdrawals. A worker decides and sells; the cash is paid when the sells are filled."""

    store: RebalanceStore
    decisions: DecisionReader
    queues: WorkerQueues
    clock: Clock

    def request(self, caller: Caller, portfolio_id: str, amount: Decimal, request_id: str) -> Rebalance:
        """Accept a withdrawal; idempotent by `request_id`.

        Raises `Unprocessable` (`insufficient_funds`) where cash and sells cannot pay the amount at the present prices,
        or (`too_many_decimals`) where the amount has more decimals than the currency, and `Conflict` (`closed`,
        `stale`, `locked`, `request_id_reused`).
        """
        portfolio = require_owned(self.store.portfolio(caller.tenant_id, portfolio_id), caller)
        require_decimals("amount", amount, portfolio.currency)
        requested = _requested(portfolio, amount, request_id, self.clock())
        stored = self.store.rebalance(portfolio.tenant_id, portfolio_id, requested.rebalance_id)
        if stored is None:
            portfolio.require_tradable(self.clock())
            _, result = self.decisions.decide_withdrawal(portfolio, amount)
            if result.reason.code == INSUFFICIENT_FUNDS:
                raise Unprocessable(INSUFFICIENT_FUNDS, result.reason.message)
            stored = retry_on_conflict(lambda: self.store.insert_rebalance(requested))
        if stored is not None and not ids.is_same_request(
            stored.request_hash, lambda form: _request_hash(amount, form)
        ):
            raise Conflict(
                "request_id_reused", "The request id was used with another body; use a new one for each request."
            )
        if stored is None or stored.status is RebalanceStatus.REQUESTED:
            self.queues.wake(stored or requested)
        return stored or requested


def _request_hash(amount: Decimal, form: int = 1) -> str:
    """Return the hash of a requested withdrawal in this version of the hash."""
    match form:
        case 1:
            return ids.request_hash(1, {"withdrawal": plain(amount)})
        case _:
            raise UnknownForm("request hash of a withdrawal", form)


def _requested(portfolio: Portfolio, amount: Decimal, request_id: str, now: datetime) -> Rebalance:
    return new_rebalance(
        portfolio,
        rebalance_id_of(portfolio.portfolio_id, request_id),
        request_id,
        _request_hash(amount),
        now,
        trigger=Trigger.WITHDRAWAL,
        mode=Mode.SELL_ONLY,
        withdrawal=Withdrawal(amount, currency=portfolio.currency),
    )
