"""A crash at any call of a withdrawal, before or after the call takes effect, neither loses nor doubles the payout."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from functions.balancing_on_check_requested import handler as check_function
from functions.execution_on_execution_requested import handler as execution_function
from tests.support.faults import Crash, CrashAfter, CrashBefore, Fault, Faults, injecting
from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.moto_state import snapshot, stored_items, take_messages
from tests.support.system import in_process_system, sqs_record
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.runtime.dynamodb.client import deserialize

START = {"A": Decimal(100), "B": Decimal(100)}
ROUNDS = 25
STRIDE = 4
"""Every so many calls, one crash: before the call in one half, after the call in the other half."""


@dataclass
class WithdrawalRun:
    """One withdrawal of 200 from a portfolio with 50 in cash, driven like AWS and a client drive it."""

    market: ManyPortfolios
    faults: Faults
    queued: list[tuple[Any, str]] = field(default_factory=list)

    def settle(self, *faults: Fault) -> None:
        """Request the withdrawal until it is accepted, and deliver messages until the rebalance has ended."""
        self.faults.set(*faults)
        while not self._survives(self._request):
            self.market.now += timedelta(seconds=1)
        for _ in range(ROUNDS):
            self._deliver_all()
            rebalance = self.market.newest()
            if rebalance is not None and not rebalance.is_open and not self.queued:
                return
            if not self.queued:
                self.market.now += timedelta(minutes=10)
                self._survives(self.market.system.run_sweeper)
        raise AssertionError("the withdrawal does not end")

    def _request(self) -> None:
        path = f"/portfolios/{self.market.portfolios[0].portfolio_id}/withdrawals"
        answer = self.market.system.http("POST", path, {"amount": "200.00"}, headers={"Idempotency-Key": "w"})
        assert answer.status == 202, answer.text

    def _deliver_all(self) -> None:
        system = self.market.system
        for url, worker in ((system.checks_url, check_function), (system.executions_url, execution_function)):
            self.queued += [(worker, body) for body, _ in take_messages(url)]
        delivered, self.queued = self.queued, []
        for worker, body in delivered:
            if not self._survives(partial(self._deliver, worker, body)):
                self.market.now += timedelta(minutes=2)
                self.queued.append((worker, body))

    def _deliver(self, worker: Any, body: str) -> None:
        assert self.market.system.invoke_worker(sqs_record(body), worker=worker) == set()

    def _survives(self, do: Callable[[], Any]) -> bool:
        try:
            do()
        except Crash:
            return False
        return True


@pytest.fixture(scope="module")
def start_run() -> Iterator[Callable[[], WithdrawalRun]]:
    """Yield a function that restores the same portfolio with its watches written."""
    with in_process_system() as system, injecting() as faults, many_portfolios(system, START) as market:
        with faults.paused():
            market.join({"A": 50, "B": 50}, Policy(), Decimal(10_000), Decimal(50))
            market.settle()
        now, restore = market.now, snapshot()

        def begin() -> WithdrawalRun:
            restore()
            market.now = now
            return WithdrawalRun(market, faults)

        yield begin


def check_paid_once(run: WithdrawalRun) -> None:
    """Assert one payout of 200, trades that pay for it, and no lock."""
    with run.faults.paused():
        rebalance, portfolio = run.market.newest(), run.market.portfolio()
        items = [deserialize(item) for item in stored_items()]
    entries = [CashEntry.from_item(item) for item in items if item["sk"].startswith("CASH#")]
    trades = [Trade.from_item(item) for item in items if item["sk"].startswith("TRADE#")]
    assert rebalance is not None
    assert rebalance.withdrawal is not None
    assert (rebalance.status, rebalance.withdrawal.is_paid) == ("COMPLETED", True)
    assert [(entry.type, entry.amount) for entry in entries] == [("withdrawal", Decimal(200))]
    assert portfolio.cash == 50 + sum((trade.cash_change(portfolio.cash_rule) for trade in trades), Decimal(0)) - 200
    assert (portfolio.lock, len(trades)) == (None, 2)


@pytest.mark.parametrize("crash", [CrashBefore, CrashAfter])
def test_a_crash_at_any_call_of_a_withdrawal_pays_once(
    start_run: Callable[[], WithdrawalRun], crash: type[Fault]
) -> None:
    undisturbed = start_run()
    undisturbed.settle()
    calls = len(undisturbed.faults.calls)
    check_paid_once(undisturbed)
    for call in range(0 if crash is CrashBefore else STRIDE // 2, calls, STRIDE):
        run = start_run()
        run.settle(crash(call))
        assert len(run.faults.met) == 1, call
        check_paid_once(run)
