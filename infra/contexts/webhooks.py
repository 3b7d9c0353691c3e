"""The webhooks context: the events of each tenant, listed over HTTP."""

from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.domain_events import DomainEvents
from infra.constructs.function import FunctionContext
from infra.constructs.queues import WorkQueue
from infra.constructs.table import RetainedTable
from infra.constructs.worker import Worker
from infra.tables import WEBHOOKS
from trimtab.contracts.events import DATA

EVENTS_PER_BATCH = 100
EVENT_WORKERS = 2
"""Few workers with large batches: the entries of one tenant are numbered one batch after the other."""


class RetainedWebhooks(Construct):
    """The table of events, and the queue that receives every domain event."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext, events: DomainEvents) -> None:
        super().__init__(scope, id)
        config = context.config
        self.table = RetainedTable(self, "Webhooks", shape=WEBHOOKS, config=config)
        self.events = WorkQueue(
            self, "webhook-events", context=context, visibility_seconds=config.worker_visibility_seconds
        )
        events.deliver_to_queue(
            self, "EventsRule", description="Events for the clients of tenants", types=tuple(DATA), queue=self.events
        )


class WebhookFunctions(Construct):
    """The API of events, and the worker that logs the events."""

    def __init__(
        self, scope: Construct, id: str, *, context: FunctionContext, api: ApiGateway, webhooks: RetainedWebhooks
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._webhooks = webhooks
        self._add_api_function(api)
        self._add_event_worker()

    def _add_api_function(self, api: ApiGateway) -> None:
        function = ApiFunction(
            self,
            "Api",
            context=self._context,
            api=api,
            package="webhooks_api",
            description="Events of tenants over HTTP",
            environment={"WEBHOOKS_TABLE": self._webhooks.table.table_name},
        )
        function.allow_table(self._webhooks.table, ("Query",))

    def _add_event_worker(self) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnEvent",
            context=self._context,
            work=self._webhooks.events,
            package="webhooks_on_event",
            description="Logs the events of tenants",
            timeout_seconds=config.worker_timeout_seconds,
            environment={"WEBHOOKS_TABLE": self._webhooks.table.table_name},
            batch_size=EVENTS_PER_BATCH,
            window_seconds=max(1, config.worker_batch_window_seconds),  # SQS requires a window for large batches
            max_concurrency=EVENT_WORKERS,
        )
        worker.allow_table(self._webhooks.table, ("BatchGetItem", "PutItem"))
