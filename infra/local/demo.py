"""The example at the end of `make up`: report a drifted portfolio over HTTP, and read the trades to restore it."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from infra.local.client import ApiResponse, Client
from infra.local.environment import LocalError

PORTFOLIO = {"user_id": "1", "allocation": {"stocks": 60, "bonds": 30, "gold": 10}}
REPORT = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
PENDING = ("REQUESTED", "PLANNED", "EXECUTING", "COMPENSATING")
_TIMEOUT_SECONDS = 120.0
"""Cold starts on a busy machine take long."""

T = TypeVar("T")


def run(client: Client) -> dict[str, Any]:
    """Create a portfolio, report a drift and wait for the rebalance. Idempotent: all runs return the same rebalance."""
    created = client.post("/portfolio", PORTFOLIO)
    # 409: the user changed the portfolio of an earlier run. The report is accepted all the same.
    expect(created, 201, 409)
    accepted = expect(client.post("/rebalance", REPORT, Idempotency_Key="make-up-example"), 202)
    return wait_for(client, accepted["links"]["self"])


def wait_for(client: Client, path: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> dict[str, Any]:
    """Return the rebalance at `path` as soon as the status is final."""
    return poll(
        lambda: expect(client.get(path), 200),
        lambda rebalance: rebalance["status"] not in PENDING,
        f"{path} was not decided",
        timeout_seconds,
    )


def poll(read: Callable[[], T], is_done: Callable[[T], bool], complaint: str, timeout_seconds: float) -> T:
    """Read until `is_done` accepts the value and return the value. Raises LocalError with the complaint on timeout."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = read()
        if is_done(value):
            return value
        if time.monotonic() > deadline:
            raise LocalError(f"{complaint} within {timeout_seconds:.0f} s: see `make logs`")
        time.sleep(0.1)


def expect(response: ApiResponse, *statuses: int) -> Any:
    """Return the JSON of a response with one of these statuses. Raises LocalError for any other status."""
    if response.status not in statuses:
        raise LocalError(f"the API answered {response.status}: {response.text[:500]}")
    return response.json
