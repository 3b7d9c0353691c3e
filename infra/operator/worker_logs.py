"""The reasons for which workers returned messages to their queue, as their logs tell."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from msgspec import Struct

IDS_PER_SEARCH = 20
MAX_PAGES = 20


class WorkerLogs(Struct, frozen=True):
    """Finds the log lines of messages in the log groups of the functions that read a queue."""

    lambda_client: Any
    logs: Any

    def reasons(self, queue_arn: str, message_ids: Sequence[str], since: datetime) -> dict[str, str]:
        """Return the last reason of each message for which the log has one, by message id."""
        found: dict[str, str] = {}
        for group in self._groups(queue_arn):
            for start in range(0, len(message_ids), IDS_PER_SEARCH):
                wanted = message_ids[start : start + IDS_PER_SEARCH]
                found.update(_reasons(self._lines(group, wanted, since), frozenset(wanted)))
        return found

    def _groups(self, queue_arn: str) -> Iterator[str]:
        mappings = self.lambda_client.list_event_source_mappings(EventSourceArn=queue_arn)["EventSourceMappings"]
        for mapping in mappings:
            yield "/aws/lambda/" + mapping["FunctionArn"].split(":")[6]

    def _lines(self, group: str, message_ids: Sequence[str], since: datetime) -> Iterator[str]:
        """Yield the lines of the group that name a message, at most as many as 20 calls return."""
        arguments: dict[str, Any] = {
            "logGroupName": group,
            "startTime": int(since.timestamp() * 1000),
            "filterPattern": " ".join(f'?"{message_id}"' for message_id in message_ids),
        }
        for _ in range(MAX_PAGES):
            try:
                page = self.logs.filter_log_events(**arguments)
            except ClientError:  # the group was deleted with its stack
                return
            yield from (event["message"] for event in page["events"])
            if not page.get("nextToken"):
                return
            arguments["nextToken"] = page["nextToken"]


def _reasons(lines: Iterable[str], wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or entry.get("message_id") not in wanted:
            continue
        if reason := entry.get("reason") or _exception(entry):
            yield entry["message_id"], reason


def _exception(entry: dict[str, Any]) -> str | None:
    """Return the last line of a traceback, which names the exception."""
    text = str(entry.get("exception") or "").strip()
    return text.splitlines()[-1] if text else None
