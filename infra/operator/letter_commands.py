"""Commands for dead letters: list, redrive, delete."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import click
from botocore.exceptions import ClientError

from infra.operator.dead_letters import (
    DEAD,
    DeadLetter,
    DeadLetterQueue,
    DeadLetters,
    LetterFilter,
    Pace,
    dead_letter_queues,
)
from infra.operator.deployment import DeployedSystem, DeploymentOptions
from infra.operator.output import age, exit_if, json_option, show
from infra.operator.worker_logs import WorkerLogs
from trimtab.kernel.clock import format_time, utc_now

MAX_LETTERS = 10_000
LISTED_CHARACTERS = 200

_queue = click.option("--queue", "queue_name", help="Only this queue, by the name of its source: `quotes`.")
_tenant = click.option("--tenant", "tenant_id", help="Only messages that name this tenant.")
_kind = click.option("--kind", help="Only messages of this type: `rebalance.requested`.")
_message = click.option("--message-id", help="Only this message.")
_limit = click.option(
    "--limit", type=click.IntRange(1, MAX_LETTERS), default=1000, show_default=True, help="Per queue."
)
_execute = click.option("--execute", is_flag=True, help="Do it; without this option the command only lists.")


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that failed five times, and work that failed for good."""


@dead_letters.command("list")
@_queue
@_tenant
@_kind
@_message
@_limit
@json_option
@click.pass_obj
def list_letters(
    options: DeploymentOptions, /, *, queue_name: str | None, limit: int, as_json: bool, **wanted: Any
) -> None:
    """List dead letters: reason, decoded body, age, deliveries. Exit code 1 if there are any."""
    system = options.open()
    letters = _read(_letters(system), _queues(system, queue_name), LetterFilter(**wanted), limit)
    _show(system, letters, as_json)
    exit_if(bool(letters))


@dead_letters.command()
@_queue
@_tenant
@_kind
@_message
@_limit
@_execute
@click.option("--rate", type=click.FloatRange(0.1, 300), default=10.0, show_default=True, help="Messages a second.")
@json_option
@click.pass_obj
def redrive(
    options: DeploymentOptions,
    /,
    *,
    queue_name: str | None,
    limit: int,
    execute: bool,
    rate: float,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Send dead letters to their queue again. Without --execute, list what would be sent.

    A repeated message has no second effect. An interrupted command can be repeated.
    """
    system = options.open()
    queues = [queue for queue in _queues(system, queue_name) if queue.source_url]
    if not queues:
        raise click.UsageError(f"{queue_name} has no worker: see `trimtab events replay` and the guide Redrive.")
    letters = _letters(system)
    if not execute:
        _show(system, _read(letters, queues, LetterFilter(**wanted), limit), as_json, "would be sent")
        return
    done = _handle(letters, queues, LetterFilter(**wanted), limit, partial(_redrive, letters, Pace(1 / rate)))
    _report(done, as_json, "redriven")


@dead_letters.command()
@click.option("--queue", "queue_name", required=True, help="The queue, by the name of its source.")
@_tenant
@_kind
@_message
@_limit
@_execute
@json_option
@click.pass_obj
def delete(
    options: DeploymentOptions, /, *, queue_name: str, limit: int, execute: bool, as_json: bool, **wanted: Any
) -> None:
    """Delete dead letters of a queue for good. Without --execute, list what would be deleted."""
    system = options.open()
    letters, queues = _letters(system), _queues(system, queue_name)
    if not execute:
        _show(system, _read(letters, queues, LetterFilter(**wanted), limit), as_json, "would be deleted")
        return
    _report(_handle(letters, queues, LetterFilter(**wanted), limit, lambda _queue, _letter: None), as_json, "deleted")


def _letters(system: DeployedSystem) -> DeadLetters:
    redriver = system.redriver()
    role_id = redriver("sts").get_caller_identity()["UserId"].partition(":")[0]
    return DeadLetters(redriver("sqs"), role_id)


def _queues(system: DeployedSystem, name: str | None) -> list[DeadLetterQueue]:
    queues = dead_letter_queues(system.stack.queues)
    chosen = [queue for queue in queues if name in {None, queue.name, queue.name + DEAD}]
    if not chosen:
        raise click.UsageError(f"There is no queue {name}. Queues: {', '.join(queue.name for queue in queues)}.")
    return chosen


def _read(letters: DeadLetters, queues: list[DeadLetterQueue], wanted: LetterFilter, limit: int) -> list[DeadLetter]:
    """Return the letters that fit; they stay in their queues."""
    found: list[DeadLetter] = []

    def keep(letter: DeadLetter) -> bool:
        if wanted.fits(letter):
            found.append(letter)
        return False

    for queue in queues:
        if not letters.is_empty(queue):
            letters.visit(queue, limit, keep)
    return found


def _handle(
    letters: DeadLetters,
    queues: list[DeadLetterQueue],
    wanted: LetterFilter,
    limit: int,
    handle: Callable[[DeadLetterQueue, DeadLetter], None],
) -> list[dict[str, Any]]:
    """Call `handle` with each letter that fits and delete the letter; return a row per letter, with any error."""
    rows: list[dict[str, Any]] = []

    def handle_one(queue: DeadLetterQueue, letter: DeadLetter) -> bool:
        if not wanted.fits(letter):
            return False
        error = ""
        try:
            handle(queue, letter)
        except ClientError as refused:
            error = str(refused)
        rows.append({"queue": letter.queue, "message_id": letter.message_id, "error": error})
        click.echo(f"\r{len(rows)} messages", nl=False, err=True)
        return not error

    for queue in queues:
        if not letters.is_empty(queue):
            letters.visit(queue, limit, partial(handle_one, queue))
    if rows:
        click.echo(err=True)
    return rows


def _redrive(letters: DeadLetters, pace: Pace, queue: DeadLetterQueue, letter: DeadLetter) -> None:
    pace.wait()
    letters.redrive(letter, str(queue.source_url))


def _report(rows: list[dict[str, Any]], as_json: bool, done: str) -> None:
    failed = sum(bool(row["error"]) for row in rows)
    show(rows, as_json=as_json, empty="no dead letters")
    if not as_json and rows:
        click.echo(f"{len(rows) - failed} {done}, {failed} failed")
    exit_if(failed > 0)


def _show(system: DeployedSystem, letters: list[DeadLetter], as_json: bool, action: str = "") -> None:
    reasons, now = _reasons(system, letters), utc_now()
    rows = [_row(letter, reasons.get(letter.message_id), now, as_json) for letter in letters]
    show(rows, as_json=as_json, empty="no dead letters")
    if action and not as_json and rows:
        click.echo(f"{len(rows)} {action}; add --execute to do it")


def _row(letter: DeadLetter, reason: str | None, now: datetime, as_json: bool) -> dict[str, Any]:
    row = {
        "queue": letter.queue,
        "message_id": letter.message_id,
        "tenant": letter.tenant_id,
        "kind": letter.kind,
        "age": age(now - letter.sent_at),
        "receives": letter.receives,
        "reason": reason or "not in the log",
    }
    if not as_json:
        return {**row, "content": letter.text[:LISTED_CHARACTERS]}
    return {**row, "sent_at": format_time(letter.sent_at), "sender": letter.system.get("SenderId"), "body": letter.body}


def _reasons(system: DeployedSystem, letters: list[DeadLetter]) -> dict[str, str]:
    """Return the reason of each letter that states one, or that the log of its worker names."""
    found = {letter.message_id: reason for letter in letters if (reason := letter.stated_reason)}
    logs, sqs = WorkerLogs(system.aws("lambda"), system.aws("logs")), system.aws("sqs")
    for queue in dead_letter_queues(system.stack.queues):
        open_letters = [letter for letter in letters if letter.queue == queue.name and letter.message_id not in found]
        if queue.source_url and open_letters:
            attributes = sqs.get_queue_attributes(QueueUrl=queue.source_url, AttributeNames=["QueueArn"])["Attributes"]
            since = min(letter.sent_at for letter in open_letters)
            message_ids = [letter.message_id for letter in open_letters]
            found.update(logs.reasons(attributes["QueueArn"], message_ids, since))
    return found
