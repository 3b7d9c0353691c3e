"""Optimistic locking: read, decide, write on the version that was read; on a conflict, read and decide again."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from trimtab.kernel.errors import Conflict

T = TypeVar("T")

MAX_ATTEMPTS = 3
BACKOFF_SECONDS = 0.05


class ConditionFailed(Exception):
    """Raised if the condition of a write did not hold; nothing was written.

    `failed` maps the position of each refused action in the transaction to the item that is stored (None if there is no
    item). The mapping is empty if a concurrent transaction on the same items caused the failure.
    """

    def __init__(self, failed: Mapping[int, Any]) -> None:
        super().__init__(f"condition failed at {sorted(failed)}")
        self.failed = failed


def retry_on_conflict(attempt: Callable[[], T], attempts: int = MAX_ATTEMPTS) -> T:
    """Return the result of `attempt`, a function that reads, decides and writes; repeat it on `ConditionFailed`.

    Raises `Conflict` (`contended`, 409 with `Retry-After`) if the condition of all `attempts` failed.
    """
    for number in range(attempts):
        if number:
            sleep_before_retry(number)
        try:
            return attempt()
        except ConditionFailed:
            continue
    raise Conflict("contended", "The resource was modified concurrently. Retry the request.", retry_after_seconds=1)


def sleep_before_retry(number: int) -> None:
    """Sleep before retry `number` (1, 2, …): exponential backoff with full jitter."""
    time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**number))  # noqa: S311 - jitter needs no secrecy
