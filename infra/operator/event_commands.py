"""Commands that publish events of the log again, repeat deliveries of a webhook, and rotate keys."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import click

from infra.operator.dead_letters import DeadLetter, DeadLetters, Pace, dead_letter_queues
from infra.operator.deployment import DeployedSystem, DeploymentOptions
from infra.operator.output import answer, exit_if, json_option, read_pages, show
from trimtab.contracts.events import SOURCE
from trimtab.kernel.clock import format_time, utc_now
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.domain.event_log import LogEntry

UNDELIVERED = "events-undelivered"
PAGE = 100
KEY_BYTES = 48
"""Bytes of a new key for links; its text of 64 characters is longer than the 32 bytes that a key needs."""

_type = click.option("--type", "type", help="Only events of this type: `trade.recorded`.")
_limit = click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Events.")
_rate = click.option(
    "--rate", type=click.FloatRange(0.1, 300), default=10.0, show_default=True, help="Events a second."
)
_execute = click.option("--execute", is_flag=True, help="Do it; without this option the command only lists.")


@click.group()
def events() -> None:
    """Events: publish them again. Consumers deduplicate by the id of an event."""


@events.command()
@click.option("--tenant", "tenant_id", required=True, help="The tenant of the log.")
@click.option(
    "--after", type=click.IntRange(0), default=0, show_default=True, help="The number of an event of the log."
)
@_type
@_limit
@_rate
@_execute
@json_option
@click.pass_obj
def replay(
    options: DeploymentOptions,
    /,
    *,
    tenant_id: str,
    after: int,
    type: str | None,
    limit: int,
    rate: float,
    execute: bool,
    as_json: bool,
) -> None:
    """Put logged events of the last 30 days on the bus again, oldest first. Without --execute, list them."""
    system = options.open()
    log = EventLog(system.aws("dynamodb"), system.stack.tables["webhooks"])
    rows, pace, publish = [], Pace(1 / rate), _publisher(system)
    for entry in _read_log(log, tenant_id, after, type, limit):
        if execute:
            pace.wait()
            publish(dict(entry.event))
        rows.append(
            {
                "number": entry.sequence,
                "type": entry.type,
                "id": entry.event["id"],
                "logged": format_time(entry.logged_at),
            }
        )
    show(rows, as_json=as_json, empty="no events")
    _conclude(len(rows), "published", execute=execute, as_json=as_json)


def _read_log(log: EventLog, tenant_id: str, after: int, type: str | None, limit: int) -> Iterator[LogEntry]:
    """Yield the entries after a number that have the type, at most `limit`; expired entries are left out."""
    now, found = utc_now(), 0
    while True:
        page = log.read(tenant_id, after, PAGE, now)
        for entry in page.entries:
            after = entry.sequence
            if entry.is_expired(now) or type not in {None, entry.type}:
                continue
            yield entry
            found += 1
            if found == limit:
                return
        if not page.has_more or not page.entries:
            return


@events.command("publish-undelivered")
@_type
@_limit
@_rate
@_execute
@json_option
@click.pass_obj
def publish_undelivered(
    options: DeploymentOptions, /, *, type: str | None, limit: int, rate: float, execute: bool, as_json: bool
) -> None:
    """Put events of the queue `events-undelivered` on the bus again, and delete them from the queue.

    A report of a failed stream batch carries no events; it stays in the queue, and the exit code is 1.
    """
    system, pace = options.open(), Pace(1 / rate)
    (queue,) = (each for each in dead_letter_queues(system.stack.queues) if each.name == UNDELIVERED)
    publish = _publisher(system)
    rows: list[dict[str, Any]] = []

    def handle(letter: DeadLetter) -> bool:
        event = event_in(letter.body)
        if type not in {None, event and event["type"]}:
            return False
        rows.append({"message_id": letter.message_id, "type": event and event["type"], "id": event and event["id"]})
        if event is None or not execute:
            return False
        pace.wait()
        publish(event)
        return True

    DeadLetters(system.redriver()("sqs")).visit(queue, limit, handle)
    show(rows, as_json=as_json, empty="no events")
    carrying = sum(row["id"] is not None for row in rows)
    _conclude(carrying, "published", execute=execute, as_json=as_json)
    exit_if(execute and carrying < len(rows))


def event_in(body: Any) -> dict[str, Any] | None:
    """Return the event of an undelivered message: itself, or inside the envelope of EventBridge; None without one.

    >>> event_in({"detail": {"specversion": "1.0", "id": "e1", "type": "trade.recorded"}})["id"]
    'e1'
    >>> event_in({"DDBStreamBatchInfo": {}}) is None
    True
    """
    event = body.get("detail", body) if isinstance(body, dict) else None
    is_event = isinstance(event, dict) and all(
        isinstance(event.get(name), str) for name in ("specversion", "id", "type")
    )
    return event if is_event else None


def _publisher(system: DeployedSystem) -> Callable[[dict[str, Any]], None]:
    """Return a function that puts an event on the bus as the publisher of the outbox does."""
    client = system.aws("events")

    def publish(event: dict[str, Any]) -> None:
        entry = {"EventBusName": system.stack.event_bus, "Source": SOURCE, "DetailType": event["type"]}
        result = client.put_events(Entries=[{**entry, "Detail": json.dumps(event, separators=(",", ":"))}])
        if result["FailedEntryCount"]:  # reported in a successful response
            raise click.ClickException(f"the bus refused event {event['id']}: {result['Entries'][0]['ErrorMessage']}")

    return publish


@events.command()
@click.argument("webhook_id")
@click.option("--status", type=click.Choice(["FAILED", "DELIVERED", "PENDING"]), default="FAILED", show_default=True)
@_type
@_limit
@_rate
@_execute
@json_option
@click.pass_obj
def redeliver(
    options: DeploymentOptions,
    /,
    *,
    webhook_id: str,
    status: str,
    type: str | None,
    limit: int,
    rate: float,
    execute: bool,
    as_json: bool,
) -> None:
    """Deliver events to a webhook of the token's tenant again, by default the failed ones, oldest first."""
    api, pace, path = options.open().api, Pace(1 / rate), f"webhooks/{webhook_id}/deliveries"
    newest_first = [each for each in read_pages(api, path) if each["status"] == status and type in {None, each["type"]}]
    chosen = newest_first[::-1][:limit]
    for delivery in chosen if execute else ():
        pace.wait()
        answer(api.call("POST", f"{path}/{delivery['delivery_id']}/redeliver"))
    rows = [{name: each[name] for name in ("delivery_id", "event_id", "type", "tries")} for each in chosen]
    show(rows, as_json=as_json, empty="no deliveries")
    _conclude(len(rows), "requested", execute=execute, as_json=as_json)


def _conclude(number: int, done: str, *, execute: bool, as_json: bool) -> None:
    if number and not as_json:
        click.echo(f"{number} {done}" if execute else f"{number} would be {done}; add --execute to do it")


@click.group()
def keys() -> None:
    """Keys: replace them by new random ones."""


@keys.group()
def rotate() -> None:
    """Replace a key by a new random one."""


@rotate.command()
@click.option("--execute", is_flag=True, help="Do it; without this option the command only says what happens.")
@click.pass_obj
def links(options: DeploymentOptions, /, *, execute: bool) -> None:
    """Replace the key that signs links to charts; open links become invalid."""
    system = options.open()
    name = f"{system.stack.event_bus}/links"
    if not execute:
        click.echo(f"would replace the secret {name}; add --execute to do it")
        return
    system.aws("secretsmanager").put_secret_value(SecretId=name, SecretString=secrets.token_urlsafe(KEY_BYTES))
    click.echo(f"replaced {name}; running functions use the new key from their next cold start on")


@rotate.command()
@click.argument("webhook_id")
@json_option
@click.pass_obj
def webhook(options: DeploymentOptions, /, *, webhook_id: str, as_json: bool) -> None:
    """Give a webhook a new secret and print it; the secret before signs, too, for another 24 hours."""
    rotated = answer(options.open().api.call("POST", f"webhooks/{webhook_id}/rotate"))
    names = ("webhook_id", "secret", "previous_secret_until")
    show([{name: rotated[name] for name in names}], as_json=as_json, empty="")
