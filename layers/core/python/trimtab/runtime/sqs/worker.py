"""Handlers of queue workers: the records of a batch are validated one by one, and failures are reported per record."""

import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from trimtab.contracts.messages import read_body
from trimtab.contracts.traces import TRACEPARENT
from trimtab.kernel.clock import from_epoch_milliseconds
from trimtab.kernel.errors import Refusal
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import log_context, logger
from trimtab.runtime.tracing import continue_trace, instrumented

# If pydantic is loaded, Powertools' batch utility imports a hundred modules with pydantic models of event sources that
# no worker needs. Hiding pydantic during this import shortens the cold start.
_pydantic = sys.modules.pop("pydantic")
try:
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
finally:
    sys.modules["pydantic"] = _pydantic

REDRIVER = "<original sender>"
"""Marks the role that redrives dead letters among the tenants of a sender; no tenant can have this name."""

ORIGINAL_SENDER, FIRST_SENT_AT = "original_sender", "first_sent_at"
"""Message attributes of a redriven message: the sender (`<role id>:<session>`) and the time (Unix milliseconds) of the
dead letter. Only attributes sent by the role with the mark `REDRIVER` count."""

M = TypeVar("M", bound=BaseModel)
LOGGED_IDS = ("tenant_id", "portfolio_id", "rebalance_id", "webhook_id", "job_id", "market_id")
"""The members of a message that are in every log line of the message."""
_IN_EVENT = re.compile(f'"{TRACEPARENT}":\\s*"([^"]+)"')
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

__all__ = [
    "FIRST_SENT_AT",
    "ORIGINAL_SENDER",
    "REDRIVER",
    "PoisonError",
    "SQSRecord",
    "batch_worker",
    "read_record",
    "require_sender",
    "sender_tenant",
    "sent_at",
    "was_delivered_before",
    "worker",
]


class PoisonError(Exception):
    """Raised for a message that is invalid, or whose sender may not act for the tenant.

    SQS redelivers the message until its receive count is exceeded and it moves, unchanged, to the dead-letter queue.
    """


def worker(model: type[M], handle: Callable[[M, SQSRecord], None]) -> Handler:
    """Return a Lambda handler that calls `handle(message, record)` for each record, its body validated as `model`.

    A record for which `handle` raises is returned to the queue (partial batch response); the others are acknowledged.
    """

    def handle_record(record: SQSRecord) -> None:
        with log_context(message_id=record.message_id), continue_trace(traceparent_of(record), record.message_id):
            try:
                message = read_record(record, model)
                logger.append_keys(**_ids_of(message))
                handle(message, record)
            except PoisonError as poison:
                _log_poison(record, poison)
                raise
            except Exception:
                count("FailedMessages")
                logger.exception("message processing failed")
                raise

    # By default Powertools raises if all records fail; then the response could not name the failed records.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def process(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return dict(
            process_partial_response(event=event, record_handler=handle_record, processor=processor, context=context)
        )

    return instrumented(process)


def batch_worker(model: type[M], handle: Callable[[list[M]], None]) -> Handler:
    """Return a Lambda handler that passes the messages of a whole batch to `handle`, their bodies validated as `model`.

    An invalid record is returned to the queue alone. If `handle` raises, all records of the batch are returned. The
    trace is that of the records; records of several traces are handled in a new trace, whose log has their ids.
    """

    def process(event: dict[str, Any], _: Any) -> dict[str, Any]:
        records = [SQSRecord(record) for record in event["Records"]]
        messages, failed = [], []
        for record in records:
            try:
                messages.append(read_record(record, model))
            except PoisonError as poison:
                _log_poison(record, poison)
                failed.append(record.message_id)
        traceparents = {traceparent_of(record) for record in records}
        with continue_trace(traceparents.pop() if len(traceparents) == 1 else None, records[0].message_id):
            if traceparents:
                logger.info("batch of several traces", traceparents=sorted(map(str, traceparents)))
            try:
                handle(messages)
            except Exception:  # noqa: BLE001 - whatever was raised, the queue delivers the records again
                count("FailedMessages", len(messages))
                logger.exception("batch processing failed")
                failed = [record.message_id for record in records]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return instrumented(process)


def read_record(record: SQSRecord, model: type[M]) -> M:
    """Return the body of the record, validated as `model`; raises `PoisonError` if the body is invalid."""
    try:
        return read_body(record.body, model)
    except ValidationError as error:
        # Names of unknown members and of assets come from the sender, and may be anything: the log gets ours only.
        found = (each["loc"][0] if each["loc"] else "" for each in error.errors(include_input=False))
        fields = sorted({str(name) if name in model.model_fields else "unknown members" for name in found})
        raise PoisonError(f"invalid {model.__name__}, wrong fields: {', '.join(fields)}") from None
    except Refusal as refusal:
        raise PoisonError(str(refusal)) from None


def traceparent_of(record: SQSRecord) -> str | None:
    """Return the `traceparent` of a message: its attribute, or the member of the event that EventBridge delivers."""
    if attribute := _attribute(record, TRACEPARENT):
        return attribute
    found = _IN_EVENT.search(record.body)
    return found.group(1) if found else None


def sent_at(record: SQSRecord, tenants_of: Mapping[str, list[str]]) -> datetime:
    """Return the time at which the message was first put on the queue, before any redrive by the operator's command."""
    first = _attribute(record, FIRST_SENT_AT) if REDRIVER in _tenants_of_role(_sender(record), tenants_of) else None
    return from_epoch_milliseconds(int(first or record.attributes.sent_timestamp or 0))


def was_delivered_before(record: SQSRecord) -> bool:
    """Return True for a message that an earlier delivery did not acknowledge, as after a crash of the worker."""
    return int(record.attributes.approximate_receive_count or 1) > 1


def require_sender(record: SQSRecord, tenant_id: str, tenants_of: Mapping[str, list[str]]) -> None:
    """Raise `PoisonError` unless the sender of the message is mapped to the tenant of the message.

    `tenants_of` maps role ids to tenants; SQS reports the sender as `<role id>:<session>`. The key `*` stands for any
    sender, the value `*` for any tenant, and the value `REDRIVER` for the tenants of the original sender.
    """
    allowed = _tenants_of_sender(record, tenants_of)
    if tenant_id not in allowed and "*" not in allowed:
        raise PoisonError(f"sender {record.attributes.sender_id} is not mapped to tenant {tenant_id}")


def sender_tenant(record: SQSRecord, tenant_id: str | None, tenants_of: Mapping[str, list[str]]) -> str:
    """Return the tenant of a message: the tenant that the message names, else the only tenant of its sender.

    Raises `PoisonError` as `require_sender` does, and where the sender has no tenant, several or any.
    """
    if tenant_id is None:
        tenants = _tenants_of_sender(record, tenants_of)
        if len(tenants) != 1 or "*" in tenants:
            raise PoisonError("the message names no tenant, and its sender has not a single one")
        return tenants.pop()
    require_sender(record, tenant_id, tenants_of)
    return tenant_id


def _tenants_of_sender(record: SQSRecord, tenants_of: Mapping[str, list[str]]) -> set[str]:
    """Return the tenants of the sender, or of the original sender of a message that the operator's role redrove.

    SQS sets the sender, so that nobody else can name an original sender: the attribute of another sender is ignored.
    """
    tenants = _tenants_of_role(_sender(record), tenants_of)
    if REDRIVER in tenants:
        tenants |= _tenants_of_role(_attribute(record, ORIGINAL_SENDER) or "", tenants_of)
    return tenants - {REDRIVER}


def _tenants_of_role(sender: str, tenants_of: Mapping[str, list[str]]) -> set[str]:
    return {*tenants_of.get(sender.partition(":")[0], []), *tenants_of.get("*", [])}


def _sender(record: SQSRecord) -> str:
    return str(record.attributes.sender_id or "")


def _attribute(record: SQSRecord, name: str) -> str | None:
    """Return the text of a message attribute, None without one: an attribute may be binary, too."""
    attributes = record.get("messageAttributes") or {}
    text: str | None = attributes.get(name, {}).get("stringValue")
    return text


def _log_poison(record: SQSRecord, poison: PoisonError) -> None:
    count("PoisonMessages")
    logger.warning("message rejected", message_id=record.message_id, reason=str(poison))


def _ids_of(message: BaseModel) -> dict[str, str]:
    return {name: value for name in LOGGED_IDS if (value := getattr(message, name, None)) is not None}
