"""Scenarios of an execution, and the states that they end in.

Undisturbed, AAPL and MSFT are sold in the first wave and NVDA is bought in the second; a reversal is the second order
of its symbol.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from tests.faults.execution.scenario_run import Scenario, ScenarioAction, ScenarioRun
from tests.faults.execution.scripted_broker import OrderScript
from tests.support.moto_state import stored_items
from tests.support.system import ALL_SCOPES, authorized
from trimtab.kernel.clock import parse_time
from trimtab.portfolios.rebalancing.journal import BUYS
from trimtab.runtime.dynamodb.client import deserialize

OPERATOR = authorized(scope=f"operator {ALL_SCOPES}")
KEEP = {"on_partial_fill": "keep", "on_cancel": "keep"}
REFUSED, FILLED_HALF = OrderScript(refuse=True), OrderScript(percent=50)
HALF_AND_OPEN, SLOW = OrderScript(percent=50, ends=False), OrderScript(looks=2)
NEVER_REVERSED = {("NVDA", 1): REFUSED, **{("AAPL", number): REFUSED for number in (2, 3, 4)}}
SALE = {"ref_id": "sold", "side": "SELL", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "price": 100}
NEW_TARGET = {"AAPL": 30, "MSFT": 40, "NVDA": 30}


def answered(method: str, path: str, body: Any, *allowed: int) -> Callable[[ScenarioRun], bool]:
    """Return an action that sends a request and accepts these statuses."""

    def do(run: ScenarioRun) -> bool:
        whole = path.format(home=run.home, id=run.rebalances()[0].rebalance_id)
        return run.system.http(method, whole, body, authorizer=OPERATOR).status in allowed

    return do


def planned(run: ScenarioRun) -> bool:
    """Return whether nothing has been sent."""
    return run.is_in("PLANNED")


def under_way(run: ScenarioRun) -> bool:
    """Return whether orders may be at the broker, including unknown ones after a crash."""
    return run.is_in("EXECUTING")


def buying(run: ScenarioRun) -> bool:
    """Return whether the orders of the second wave may be at the broker."""
    executions = [rebalance.execution for rebalance in run.rebalances()[:1]]
    return under_way(run) and any(execution and execution.wave == BUYS for execution in executions)


def prices(**moved: str) -> Callable[[ScenarioRun], bool]:
    """Return an action that feeds these prices."""
    return lambda run: run.feed(**moved) == 202


def halted_for(minutes: int) -> Callable[[ScenarioRun], bool]:
    """Return a condition: orders have been halted for this many minutes."""

    def holds(run: ScenarioRun) -> bool:
        switches = [deserialize(item) for item in stored_items() if item["pk"]["S"] == "HALT" and "reason" in item]
        return any(run.clock.now > parse_time(item["at"]) + timedelta(minutes=minutes) for item in switches)

    return holds


def lose_executions(run: ScenarioRun) -> bool:
    """Lose the message that requests the execution."""
    run.collect()
    run.waiting = [message for message in run.waiting if message.queue != "executions"]
    return True


def seven_hours_pass(run: ScenarioRun) -> bool:
    """Advance the clock beyond the deadline of a rebalance."""
    run.clock.wait(7 * 3600)
    return True


CANCEL = answered("POST", "{home}/rebalances/{id}/cancel", None, 200, 409)
DEPOSITED = answered("POST", "{home}/cash", {"ref_id": "more", "type": "deposit", "amount": "500"}, 200, 201)
RETARGETED = answered("PUT", "{home}/allocation", {"allocation": NEW_TARGET}, 200)
SOLD = answered("POST", "{home}/trades", SALE, 409)
HALTED, GOES_ON = answered("PUT", "/halt", {"reason": "test"}, 200, 204), answered("DELETE", "/halt", None, 200, 204)
ROLLED_BACK, STALE, ADJUSTED, CANCELLED = ("ROLLED_BACK",), ("STALE",), ("COMPLETED_ADJUSTED",), ("CANCELLED",)

MOVED = Scenario(
    ROLLED_BACK, {("NVDA", 1): HALF_AND_OPEN}, actions=(ScenarioAction(buying, prices(AAPL="101", MSFT="102")),)
)
"""Prices change before the reversal."""
UNFILLED_LATE = {("NVDA", 1): OrderScript(percent=0, looks=1)}
DEARER_PRICES = (ScenarioAction(buying, prices(AAPL="117", MSFT="114")),)
DEARER = Scenario(STALE, UNFILLED_LATE, actions=DEARER_PRICES)
"""Buying back what was sold costs a little more than the cash."""
DEARER_AND_KEPT = Scenario(ROLLED_BACK, UNFILLED_LATE, KEEP, actions=DEARER_PRICES)
"""The same, where the policy accepts that a part is bought back."""
TOO_DEAR = Scenario(STALE, {("NVDA", 1): HALF_AND_OPEN}, actions=(ScenarioAction(buying, prices(AAPL="900")),))
"""Buying back what was sold costs far more than the cash."""

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
        scripts={("AAPL", 1): OrderScript(time_out="before"), ("NVDA", 1): OrderScript(time_out="before")}
    ),
    "no answer, arrived": Scenario(
        scripts={("MSFT", 1): OrderScript(time_out="after"), ("NVDA", 1): OrderScript(time_out="after")}
    ),
    "no answer, arrived late": Scenario(
        scripts={("AAPL", 1): OrderScript(time_out="late"), ("NVDA", 1): OrderScript(time_out="late")}
    ),
    "refused beside one that is late": Scenario(
        ROLLED_BACK, {("AAPL", 1): REFUSED, ("MSFT", 1): OrderScript(time_out="late")}
    ),
    "never an answer": Scenario(STALE, {("AAPL", 1): OrderScript(time_out="before", times=99)}),
    "cancelled before a send": Scenario(CANCELLED, actions=(ScenarioAction(planned, CANCEL),)),
    "cancelled under way, reversed": Scenario(
        ROLLED_BACK, {("AAPL", 1): HALF_AND_OPEN}, actions=(ScenarioAction(under_way, CANCEL),)
    ),
    "cancelled under way, kept": Scenario(
        ADJUSTED, {("AAPL", 1): HALF_AND_OPEN}, KEEP, (ScenarioAction(under_way, CANCEL),)
    ),
    "deposit and new target under way": Scenario(
        ("COMPLETED", "COMPLETED"),
        {("AAPL", 1): SLOW},
        actions=(ScenarioAction(under_way, DEPOSITED), ScenarioAction(under_way, RETARGETED)),
    ),
    "a client sells while it is locked": Scenario(
        scripts={("AAPL", 1): SLOW, ("NVDA", 1): SLOW},
        actions=(ScenarioAction(under_way, SOLD), ScenarioAction(buying, SOLD)),
    ),
    "halted between the waves": Scenario(
        scripts={("AAPL", 1): SLOW},
        actions=(ScenarioAction(under_way, HALTED), ScenarioAction(halted_for(2), GOES_ON)),
    ),
    "cancelled between the waves while halted": Scenario(
        ADJUSTED,
        {("AAPL", 1): SLOW},
        KEEP,
        (
            ScenarioAction(under_way, HALTED),
            ScenarioAction(halted_for(2), CANCEL),
            ScenarioAction(halted_for(5), GOES_ON),
        ),
    ),
    "a broker that does not know ids": Scenario(scripts={("AAPL", 1): OrderScript(time_out="after")}, knows_ids=False),
    "too late to begin": Scenario(CANCELLED, actions=(ScenarioAction(planned, seven_hours_pass),)),
    "too late to end": Scenario(STALE, {("AAPL", 1): SLOW}, actions=(ScenarioAction(under_way, seven_hours_pass),)),
    "message lost": Scenario(actions=(ScenarioAction(planned, lose_executions),)),
    "given up in parts": Scenario(
        STALE,
        {("NVDA", 1): FILLED_HALF, ("AAPL", 2): OrderScript(time_out="before", times=99), ("MSFT", 2): HALF_AND_OPEN},
        max_fills_per_transaction=1,
        max_attempts=2,
    ),
    "booked in parts": Scenario(ROLLED_BACK, {("NVDA", 1): FILLED_HALF}, max_fills_per_transaction=1),
}
