"""Follows the functions' logs of a local cloud."""

import time
from typing import Any

from botocore.exceptions import ClientError

from infra.local.environment import client

_GROUPS = "/aws/lambda/trimtab-"
_LOOK_BACK_SECONDS = 600
_PAUSE_SECONDS = 1.0


def follow(endpoint: str, *, forever: bool = True) -> None:
    """Prints the last ten minutes of every function's log, then what is added, until interrupted."""
    logs = client("logs", endpoint)
    since = int((time.time() - _LOOK_BACK_SECONDS) * 1000)
    seen: set[tuple[int, str, str]] = set()
    while True:
        lines = [line for group in _groups(logs) for line in _events(logs, group, since)]
        for line in sorted(lines):
            when, group, text = line
            if line not in seen:  # the local clouds give events no id
                seen.add(line)
                print(f"{group.removeprefix(_GROUPS)}  {text}", flush=True)
                since = max(since, when - 5000)
        if not forever:
            return
        time.sleep(_PAUSE_SECONDS)


def _groups(logs: Any) -> list[str]:
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=_GROUPS)
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def _events(logs: Any, group: str, since: int) -> list[tuple[int, str, str]]:
    try:
        pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since))
    except ClientError:  # the group went away with its stack
        return []
    events = [event for page in pages for event in page["events"]]
    return [(event["timestamp"], group, event["message"].rstrip()) for event in events]
