"""The log lines of the deployed functions."""

from collections.abc import Iterator

from tests.e2e.conftest import System


def log_lines(system: System, since: float = 0) -> Iterator[str]:
    """Yield the lines of all log groups, from a time in seconds since 1970 on."""
    logs = system.aws("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            found = logs.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"], startTime=int(since * 1000)
            )
            for events in found:
                for event in events["events"]:
                    yield from event["message"].splitlines()
