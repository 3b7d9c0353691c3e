"""Follow the logs of all functions in a local cloud."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from infra.local.environment import client

_GROUPS = "/aws/lambda/trimtab-"
_LOOK_BACK_SECONDS = 600
_OVERLAP_MILLISECONDS = 5000
_PAUSE_SECONDS = 1.0

Line = tuple[int, str, str, int, str]
"""Timestamp (milliseconds), log group, log stream, position among the lines with equal timestamp and stream, text."""


def follow(endpoint: str, *, forever: bool = True) -> None:
    """Print the last ten minutes of every function's log, then new lines until interrupted."""
    logs = client("logs", endpoint)
    since = int((time.time() - _LOOK_BACK_SECONDS) * 1000)
    printed: set[Line] = set()
    while True:
        for line in sorted(line for group in _groups(logs) for line in _lines(logs, group, since)):
            if line not in printed:
                printed.add(line)
                print(f"{line[1].removeprefix(_GROUPS)}  {line[-1]}", flush=True)
                since = max(since, line[0] - _OVERLAP_MILLISECONDS)
        if not forever:
            return
        time.sleep(_PAUSE_SECONDS)


def _groups(logs: Any) -> list[str]:
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=_GROUPS)
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def _lines(logs: Any, group: str, since: int) -> Iterator[Line]:
    """Yield the lines of a group in the order of each stream.

    A local cloud stores all lines of an invocation with one timestamp and without ids. The position keeps these lines
    in order, and distinguishes lines with the same text.
    """
    try:
        pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since))
    except ClientError:  # the group was deleted with its stack
        return
    positions: Counter[tuple[int, str]] = Counter()
    for event in (event for page in pages for event in page["events"]):
        timestamp, stream = event["timestamp"], event.get("logStreamName", "")
        positions[timestamp, stream] += 1
        yield timestamp, group, stream, positions[timestamp, stream], event["message"].rstrip()
