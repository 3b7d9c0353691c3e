"""What can happen to a rebalance that is being traded, and how it ends then.

Undisturbed, AAPL and MSFT are sold in the first wave and NVDA is bought in the second; a reversal is the second order
of its symbol.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from tests.faults.saga import Deed, SagaRun, Scenario
from tests.faults.saga_broker import Fate
from tests.support.moto_state import stored_items
from tests.support.system import ALL_SCOPES, authorized
from trimtab.kernel.clock import parse_time
from trimtab.portfolios.rebalancing.journal import BUYS
from trimtab.runtime.dynamo import from_item

OPERATOR = authorized(scope=f"operator {ALL_SCOPES}")
KEEP = {"on_partial_fill": "keep", "on_cancel": "keep"}
REFUSED, FILLED_HALF = Fate(refuse=True), Fate(percent=50)
HALF_AND_OPEN, SLOW = Fate(percent=50, ends=False), Fate(looks=2)
NEVER_REVERSED = {("NVDA", 1): REFUSED, **{("AAPL", number): REFUSED for number in (2, 3, 4)}}
SALE = {"ref_id": "sold", "side": "SELL", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "price": 100}
NEW_TARGET = {"AAPL": 30, "MSFT": 40, "NVDA": 30}


def answered(method: str, path: str, body: Any, *allowed: int) -> Callable[[SagaRun], bool]:
    """A request that somebody sends."""

    def do(run: SagaRun) -> bool:
        whole = path.format(home=run.home, id=run.rebalances()[0].rebalance_id)
        return run.system.http(method, whole, body, authorizer=OPERATOR).status in allowed

    return do


def planned(run: SagaRun) -> bool:
    """Nothing has been sent."""
    return run.is_in("PLANNED")


def under_way(run: SagaRun) -> bool:
    """Orders may be at the broker; also where nobody knows, because a worker has crashed."""
    return run.is_in("EXECUTING")


def buying(run: SagaRun) -> bool:
    """The same of the second wave."""
    return under_way(run) and any(it.execution and it.execution.wave == BUYS for it in run.rebalances()[:1])


def prices(**moved: str) -> Callable[[SagaRun], bool]:
    """The market moves."""
    return lambda run: run.feed(**moved) == 202


def halted_for(minutes: int) -> Callable[[SagaRun], bool]:
    """Orders are halted, and have been for so long."""

    def holds(run: SagaRun) -> bool:
        since = [from_item(it)["at"] for it in stored_items() if it["pk"]["S"] == "HALT" and "reason" in it]
        return any(run.clock.now > parse_time(at) + timedelta(minutes=minutes) for at in since)

    return holds


def lose_executions(run: SagaRun) -> bool:
    """The message that asks for the execution is lost."""
    run.collect()
    run.waiting = [it for it in run.waiting if it.queue != "executions"]
    return True


def seven_hours_pass(run: SagaRun) -> bool:
    """More than a rebalance may take."""
    run.clock.wait(7 * 3600)
    return True


CANCEL = answered("POST", "{home}/rebalances/{id}/cancel", None, 200, 409)
DEPOSITED = answered("POST", "{home}/cash", {"ref_id": "more", "type": "deposit", "amount": "500"}, 200, 201)
RETARGETED = answered("PUT", "{home}/allocation", {"allocation": NEW_TARGET}, 200)
SOLD = answered("POST", "{home}/trades", SALE, 409)
HALTED, GOES_ON = answered("PUT", "/halt", {"reason": "test"}, 200, 204), answered("DELETE", "/halt", None, 200, 204)
ROLLED_BACK, STALE, ADJUSTED, CANCELLED = ("ROLLED_BACK",), ("STALE",), ("COMPLETED_ADJUSTED",), ("CANCELLED",)

MOVED = Scenario(ROLLED_BACK, {("NVDA", 1): HALF_AND_OPEN}, deeds=(Deed(buying, prices(AAPL="101", MSFT="102")),))
"""Prices move before the reversal."""
TOO_DEAR = Scenario(STALE, {("NVDA", 1): HALF_AND_OPEN}, deeds=(Deed(buying, prices(AAPL="900")),))
"""What was sold costs more to buy back than there is."""

SCENARIOS: Mapping[str, Scenario] = {
    "all filled": Scenario(from_quote=True),
    "all filled on paper": Scenario(paper=(), from_quote=True),
    "refused on paper": Scenario(ROLLED_BACK, paper=({"match": {"symbol": "NVDA", "nth": 1}, "refuse": "halted"},)),
    "one sell refused": Scenario(ROLLED_BACK, {("AAPL", 1): REFUSED}),
    "the buy refused": Scenario(ROLLED_BACK, {("NVDA", 1): REFUSED}),
    "partial fill reversed": Scenario(ROLLED_BACK, {("NVDA", 1): FILLED_HALF}),
    "partial fill kept": Scenario(ADJUSTED, {("AAPL", 1): FILLED_HALF}, KEEP),
    "never reversed": Scenario(STALE, NEVER_REVERSED),
    "reversed at the second try": Scenario(ROLLED_BACK, {("NVDA", 1): REFUSED, ("AAPL", 2): REFUSED}),
    "no answer, not arrived": Scenario(
        fates={("AAPL", 1): Fate(time_out="before"), ("NVDA", 1): Fate(time_out="before")}
    ),
    "no answer, arrived": Scenario(fates={("MSFT", 1): Fate(time_out="after"), ("NVDA", 1): Fate(time_out="after")}),
    "no answer, arrived late": Scenario(fates={("AAPL", 1): Fate(time_out="late"), ("NVDA", 1): Fate(time_out="late")}),
    "refused beside one that is late": Scenario(
        ROLLED_BACK, {("AAPL", 1): REFUSED, ("MSFT", 1): Fate(time_out="late")}
    ),
    "never an answer": Scenario(STALE, {("AAPL", 1): Fate(time_out="before", times=99)}),
    "cancelled before a send": Scenario(CANCELLED, deeds=(Deed(planned, CANCEL),)),
    "cancelled under way, reversed": Scenario(
        ROLLED_BACK, {("AAPL", 1): HALF_AND_OPEN}, deeds=(Deed(under_way, CANCEL),)
    ),
    "cancelled under way, kept": Scenario(ADJUSTED, {("AAPL", 1): HALF_AND_OPEN}, KEEP, (Deed(under_way, CANCEL),)),
    "deposit and new target under way": Scenario(
        ("COMPLETED", "COMPLETED"), {("AAPL", 1): SLOW}, deeds=(Deed(under_way, DEPOSITED), Deed(under_way, RETARGETED))
    ),
    "a client sells while it is locked": Scenario(
        fates={("AAPL", 1): SLOW, ("NVDA", 1): SLOW}, deeds=(Deed(under_way, SOLD), Deed(buying, SOLD))
    ),
    "halted between the waves": Scenario(
        fates={("AAPL", 1): SLOW}, deeds=(Deed(under_way, HALTED), Deed(halted_for(2), GOES_ON))
    ),
    "cancelled between the waves while halted": Scenario(
        ADJUSTED,
        {("AAPL", 1): SLOW},
        KEEP,
        (Deed(under_way, HALTED), Deed(halted_for(2), CANCEL), Deed(halted_for(5), GOES_ON)),
    ),
    "a broker that does not know ids": Scenario(fates={("AAPL", 1): Fate(time_out="after")}, knows_ids=False),
    "too late to begin": Scenario(CANCELLED, deeds=(Deed(planned, seven_hours_pass),)),
    "too late to end": Scenario(STALE, {("AAPL", 1): SLOW}, deeds=(Deed(under_way, seven_hours_pass),)),
    "message lost": Scenario(deeds=(Deed(planned, lose_executions),)),
    "given up in parts": Scenario(
        STALE,
        {("NVDA", 1): FILLED_HALF, ("AAPL", 2): Fate(time_out="before", times=99), ("MSFT", 2): HALF_AND_OPEN},
        booked_at_once=1,
        most_attempts=2,
    ),
    "booked in parts": Scenario(ROLLED_BACK, {("NVDA", 1): FILLED_HALF}, booked_at_once=1),
}
