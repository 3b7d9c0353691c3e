"""The example that `make up` ends with: a drifted portfolio, sent over HTTP, and what leads it back."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from infra.local.client import Answer, Client
from infra.local.environment import LocalError

PORTFOLIO = {"user_id": "1", "allocation": {"stocks": 60, "bonds": 30, "gold": 10}}
REPORT = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
PENDING = ("REQUESTED", "PLANNED", "EXECUTING", "COMPENSATING")
_PATIENCE_SECONDS = 30.0

T = TypeVar("T")


def run(client: Client) -> dict[str, Any]:
    """Creates the portfolio, reports its drift, waits for the outcome. Running it again gives the same outcome."""
    created = client.post("/portfolio", PORTFOLIO)
    # The portfolio of an earlier run may have been changed by hand since: the report is answered all the same.
    expect(created, 201, 409)
    accepted = expect(client.post("/rebalance", REPORT, Idempotency_Key="make-up-example"), 202)
    return wait_for(client, accepted["links"]["self"])


def wait_for(client: Client, path: str, patience_seconds: float = _PATIENCE_SECONDS) -> dict[str, Any]:
    """The rebalance at `path` once it is decided."""
    return poll(
        lambda: expect(client.get(path), 200),
        lambda rebalance: rebalance["status"] not in PENDING,
        f"{path} was not decided",
        patience_seconds,
    )


def poll(look: Callable[[], T], settled: Callable[[T], bool], complaint: str, patience_seconds: float) -> T:
    """Looks again and again until what is seen is settled; raises with the complaint when patience ends."""
    deadline = time.monotonic() + patience_seconds
    while True:
        seen = look()
        if settled(seen):
            return seen
        if time.monotonic() > deadline:
            raise LocalError(f"{complaint} within {patience_seconds:.0f} s: see `make logs`")
        time.sleep(0.1)


def expect(answer: Answer, *statuses: int) -> Any:
    """The JSON of an answer that has one of these statuses; raises with what it says otherwise."""
    if answer.status not in statuses:
        raise LocalError(f"the API answered {answer.status}: {answer.text[:500]}")
    return answer.json
