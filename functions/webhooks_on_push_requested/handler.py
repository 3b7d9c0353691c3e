"""Push logged events to WebSocket connections."""

from functools import lru_cache

from trimtab.contracts.messages import PushRequested
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, was_delivered_before, worker
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.sockets import Sockets, sockets_client
from trimtab.webhooks.service.pusher import Pusher


class PushSettings(Settings):
    """Settings of the function, from the environment."""

    webhooks_table: str
    socket_endpoint: str
    threads: int


@lru_cache(maxsize=1)
def pusher() -> Pusher:
    """Return the pusher, wired on first use."""
    settings, dynamodb = PushSettings.load(), dynamodb_client()
    return Pusher(
        EventLog(dynamodb, settings.webhooks_table),
        ConnectionStore(dynamodb, settings.webhooks_table),
        Sockets(sockets_client(settings.socket_endpoint)),
        utc_now,
        settings.threads,
    )


def push(request: PushRequested, record: SQSRecord) -> None:
    """Push events once: after a crash the message is dropped, because some events may have been sent."""
    if was_delivered_before(record):
        logger.info("pushes dropped", tenant_id=request.tenant_id, events=len(request.sequences))
        return
    pusher().push(request.tenant_id, request.sequences)


handler = worker(PushRequested, push)
