"""The webhooks context: the events of each tenant, listed, delivered to webhooks, and pushed over WebSocket."""

from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.domain_events import DomainEvents
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.identity import Identity
from infra.constructs.queues import WorkQueue
from infra.constructs.socket import SocketAddress, SocketRoutes
from infra.constructs.table import retained_table
from infra.constructs.worker import Worker
from infra.tables import WEBHOOKS
from trimtab.contracts.event_data import DATA

EVENTS_PER_BATCH = 100
EVENT_WORKERS = 2
"""Few workers with large batches: the entries of one tenant are numbered one batch after the other."""


class RetainedSocket(Construct):
    """The address of the WebSocket API, and the queue of pushes to its connections."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        config = context.config
        self.address = SocketAddress(self, "Address", config=config)
        self.pushes = WorkQueue(
            self, "event-pushes", context=context, visibility_seconds=config.worker_visibility_seconds
        )


class RetainedWebhooks(Construct):
    """The table of events and webhooks, the queues of domain events and deliveries, and the WebSocket API if any."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext, events: DomainEvents) -> None:
        super().__init__(scope, id)
        config = context.config
        self.table = retained_table(self, "Webhooks", shape=WEBHOOKS, config=config)
        self.events = WorkQueue(
            self, "webhook-events", context=context, visibility_seconds=config.worker_visibility_seconds
        )
        self.deliveries = WorkQueue(
            self, "webhook-deliveries", context=context, visibility_seconds=config.worker_visibility_seconds
        )
        self.socket = RetainedSocket(self, "Socket", context=context) if config.websocket else None
        events.deliver_to_queue(
            self, "EventsRule", description="Events for the clients of tenants", types=tuple(DATA), queue=self.events
        )


class WebhookFunctions(Construct):
    """The API of events and webhooks, the logger of events, and the workers of deliveries, connections and pushes."""

    def __init__(
        self, scope: Construct, id: str, *, context: FunctionContext, api: ApiGateway, webhooks: RetainedWebhooks
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._webhooks = webhooks
        self._add_api_function(api)
        self._add_event_worker()
        self._add_delivery_worker()
        if webhooks.socket:
            self._add_connection_function(webhooks.socket, api.identity)
            self._add_push_worker(webhooks.socket)

    def _add_api_function(self, api: ApiGateway) -> None:
        function = ApiFunction(
            self,
            "Api",
            context=self._context,
            api=api,
            has_lists=True,
            package="webhooks_api",
            description="Events and webhooks of tenants over HTTP",
            timeout_seconds=20,  # a test of a webhook waits ten seconds for the receiver
            environment={**self._table_and_queue(), **self._senders_settings()},
        )
        actions = ("GetItem", "Query", "PutItem", "DeleteItem")
        function.allow_table(self._webhooks.table, actions)
        function.allow_sending(self._webhooks.deliveries)

    def _add_event_worker(self) -> None:
        config, socket = self._context.config, self._webhooks.socket
        worker = Worker(
            self,
            "OnEvent",
            context=self._context,
            work=self._webhooks.events,
            package="webhooks_on_event",
            description="Logs the events of tenants and requests their delivery and push",
            timeout_seconds=config.worker_timeout_seconds,
            environment={**self._table_and_queue(), "PUSHES_QUEUE_URL": socket.pushes.url if socket else ""},
            batch_size=EVENTS_PER_BATCH,
            window_seconds=max(1, config.worker_batch_window_seconds),  # SQS requires a window for large batches
            max_concurrency=EVENT_WORKERS,
        )
        worker.allow_table(self._webhooks.table, ("BatchGetItem", "Query", "PutItem"))
        worker.allow_sending(self._webhooks.deliveries, *([socket.pushes] if socket else []))

    def _add_delivery_worker(self) -> None:
        """Add the worker that waits for receivers: one message at a time, so that no receiver delays another."""
        config = self._context.config
        worker = Worker(
            self,
            "OnDeliveryRequested",
            context=self._context,
            work=self._webhooks.deliveries,
            package="webhooks_on_delivery_requested",
            description="Delivers events to webhooks",
            timeout_seconds=config.worker_timeout_seconds,
            environment={
                **self._table_and_queue(),
                **self._senders_settings(),
                "WEBHOOK_RETRY_SECONDS": str(config.webhook_retry_seconds),
            },
            batch_size=1,
        )
        worker.allow_table(self._webhooks.table, ("GetItem", "Query", "PutItem", "UpdateItem"))
        worker.allow_sending(self._webhooks.deliveries)

    def _add_connection_function(self, socket: RetainedSocket, identity: Identity) -> None:
        function = LambdaFunction(
            self,
            "OnConnection",
            context=self._context,
            package="webhooks_on_connection",
            description="Connects, subscribes and disconnects WebSocket clients",
            environment={**self._table_and_endpoint(socket), "AUTH": identity.auth},
        )
        identity.allow_verifying(function)
        function.allow_table(self._webhooks.table, ("GetItem", "Query", "PutItem", "BatchWriteItem"))
        socket.address.allow_messages(function, "POST")
        SocketRoutes(self, "SocketRoutes", context=self._context, address=socket.address, function=function)

    def _add_push_worker(self, socket: RetainedSocket) -> None:
        """Add the worker that waits for connections, apart from the logger: the log waits for no connection."""
        config = self._context.config
        worker = Worker(
            self,
            "OnPushRequested",
            context=self._context,
            work=socket.pushes,
            package="webhooks_on_push_requested",
            description="Pushes events to WebSocket connections",
            timeout_seconds=config.worker_timeout_seconds,
            environment={**self._table_and_endpoint(socket), "THREADS": str(config.threads)},
            batch_size=1,
        )
        worker.allow_table(self._webhooks.table, ("BatchGetItem", "Query", "BatchWriteItem"))
        socket.address.allow_messages(worker, "POST", "DELETE")

    def _table_and_endpoint(self, socket: RetainedSocket) -> dict[str, str]:
        return {"WEBHOOKS_TABLE": self._webhooks.table.table_name, "SOCKET_ENDPOINT": socket.address.endpoint}

    def _table_and_queue(self) -> dict[str, str]:
        return {
            "WEBHOOKS_TABLE": self._webhooks.table.table_name,
            "DELIVERIES_QUEUE_URL": self._webhooks.deliveries.url,
        }

    def _senders_settings(self) -> dict[str, str]:
        return {"ALLOW_LOCAL_WEBHOOKS": str(self._context.config.allow_local_webhooks).lower()}
