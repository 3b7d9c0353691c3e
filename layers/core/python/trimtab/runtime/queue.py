"""SQS for every queue worker: each record is read, checked and handled by itself."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools.utilities.batch import BatchProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import BaseModel, ValidationError

from trimtab.contracts.messages import read_body
from trimtab.kernel.clock import from_epoch_milliseconds
from trimtab.kernel.errors import Refusal
from trimtab.runtime.measures import count
from trimtab.runtime.observability import logger

if TYPE_CHECKING:
    from datetime import datetime

M = TypeVar("M", bound=BaseModel)


class PoisonError(Exception):
    """A message that cannot be understood, or whose sender may not send it: it goes to the dead-letter queue as is."""


def read(record: SQSRecord, model: type[M]) -> M:
    """The record's body as a message of that model; `PoisonError` if it is not one."""
    try:
        return read_body(record.body, model)
    except ValidationError as error:
        fields = [".".join(str(part) for part in each["loc"]) for each in error.errors(include_input=False)]
        raise PoisonError(f"not a {model.__name__}: {fields[:10]}") from None
    except Refusal as refusal:
        raise PoisonError(str(refusal)) from None


def sent_at(record: SQSRecord) -> "datetime":
    """When the message was first put on the queue."""
    return from_epoch_milliseconds(int(record.attributes.sent_timestamp or 0))


def require_sender(record: SQSRecord, tenant_id: str, tenants_of: Mapping[str, list[str]]) -> None:
    """`PoisonError` unless the sender of the message is mapped to the tenant that the message names.

    A role's sender id is `<role id>:<session>`; the map names the role id. The key `*` stands for any sender, the
    value `*` for any tenant.
    """
    sender = str(record.attributes.sender_id or "").partition(":")[0]
    allowed = [*tenants_of.get(sender, []), *tenants_of.get("*", [])]
    if tenant_id not in allowed and "*" not in allowed:
        raise PoisonError(f"sender {sender} is not mapped to tenant {tenant_id}")


def process(
    processor: BatchProcessor, event: Mapping[str, Any], context: Any, handle: Callable[[SQSRecord], None]
) -> dict[str, Any]:
    """Handles each record by itself; those whose handling raised are returned to the queue, the others are done."""

    def handle_record(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id)
        try:
            handle(record)
        except PoisonError as poison:
            count("PoisonMessages")
            logger.warning("message refused", reason=str(poison))
            raise
        except Exception:
            count("FailedMessages")
            logger.exception("message failed")
            raise

    response = process_partial_response(
        event=dict(event), record_handler=handle_record, processor=processor, context=context
    )
    return dict(response)


def process_together(event: Mapping[str, Any], model: type[M], handle: Callable[[list[M]], None]) -> dict[str, Any]:
    """Handles all records of a batch at once; those that cannot be read are returned to the queue by themselves, and
    all of them where the handling raised."""
    records = [SQSRecord(record) for record in event["Records"]]
    messages, failed = [], []
    for record in records:
        try:
            messages.append(read(record, model))
        except PoisonError as poison:
            count("PoisonMessages")
            logger.warning("message refused", message_id=record.message_id, reason=str(poison))
            failed.append(record.message_id)
    try:
        handle(messages)
    except Exception:  # noqa: BLE001 - whatever it is, the queue delivers them again
        count("FailedMessages", len(messages))
        logger.exception("batch failed")
        failed = [record.message_id for record in records]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
