"""Optimistic concurrency: decide from what was read, write if it is still so, else read and decide again."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from trimtab.kernel.errors import Conflict

T = TypeVar("T")

TRIES = 3
BACKOFF_SECONDS = 0.05


class ConditionFailed(Exception):
    """A write whose condition did not hold: nothing was changed.

    `failed` maps the position of each refused action to the item that stood in its way (None where there is none).
    It is empty where another transaction was at work on the same items.
    """

    def __init__(self, failed: Mapping[int, Any]) -> None:
        super().__init__(f"condition failed at {sorted(failed)}")
        self.failed = failed


def retrying_on_conflict(attempt: Callable[[], T], tries: int = TRIES) -> T:
    """The attempt's value; where its condition fails it is made anew from what it reads then, `tries` times in all.

    After that `Conflict`: somebody else keeps changing the same aggregate.
    """
    for number in range(tries):
        if number:
            pause(number)
        try:
            return attempt()
        except ConditionFailed:
            continue
    raise Conflict("contended", "Others are changing it just now; send the same request again.", retry_after_seconds=1)


def pause(number: int) -> None:
    """Waits with full jitter before the retry of that number (1, 2, …)."""
    time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**number))  # noqa: S311 - jitter needs no secrecy
