"""Restore a table from point-in-time recovery into a new table, ready for use by the stacks.

    python -m infra.tools.restore portfolios --source NAME --target NAME [--at 2026-11-26T12:00:00Z]

DynamoDB restores items and indexes, but neither the stream nor the expiry nor the protection of the source. The tool
sets these, and prints the lines for the environment file. The tool uses the credentials and the region of the shell.
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3

from infra.tables import BY_NAME, TableShape

_WAIT = {"Delay": 20, "MaxAttempts": 720}


def restore(client: Any, shape: TableShape, source: str, target: str, at: datetime | None) -> str:
    """Restore the table `source` into the new table `target`, and return the ARN of its stream (empty without one).

    `at` is a time within the last 35 days; None restores the newest recoverable state. Waits up to four hours.
    """
    moment = {"RestoreDateTime": at} if at else {"UseLatestRestorableTime": True}
    client.restore_table_to_point_in_time(SourceTableName=source, TargetTableName=target, **moment)
    _wait(client, target)
    client.update_continuous_backups(
        TableName=target, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    client.update_table(TableName=target, DeletionProtectionEnabled=True)
    _wait(client, target)
    if shape.expires:
        expiry = {"AttributeName": "expires_at", "Enabled": True}
        client.update_time_to_live(TableName=target, TimeToLiveSpecification=expiry)
    if not shape.stream:
        return ""
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    client.update_table(TableName=target, StreamSpecification=stream)
    _wait(client, target)
    return str(client.describe_table(TableName=target)["Table"]["LatestStreamArn"])


def lines(name: str, target: str, stream_arn: str) -> str:
    """Return the lines of the environment file that make the stacks use the table."""
    stream = f'\nstream_arn = "{stream_arn}"' if stream_arn else ""
    return f'[tables.{name}]\nname = "{target}"{stream}\n'


def _wait(client: Any, table: str) -> None:
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig=_WAIT)


def main(tell: Callable[[str], Any]) -> None:
    """Restore the table of the command line, and tell the lines for the environment file."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.restore")
    parser.add_argument("table", choices=BY_NAME, help="the name of the table in an environment file")
    parser.add_argument("--source", required=True, help="the table to restore (stack output Table…)")
    parser.add_argument("--target", required=True, help="the name of the new table")
    parser.add_argument("--at", type=datetime.fromisoformat, help="the time to restore, UTC; by default the newest")
    given = parser.parse_args()
    at = given.at.replace(tzinfo=given.at.tzinfo or UTC) if given.at else None
    stream_arn = restore(boto3.client("dynamodb"), BY_NAME[given.table], given.source, given.target, at)
    tell(lines(given.table, given.target, stream_arn))


if __name__ == "__main__":
    main(print)
