"""Workers: functions for the messages of a queue."""

from collections.abc import Mapping

from constructs import Construct

from infra.constructs.event_sources import add_queue_source
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.queues import WorkQueue


class Worker(LambdaFunction):
    """A function for the messages of a work queue. Dead letters and queue alarms belong to the queue.

    `timeout_seconds` is at most a sixth of the visibility timeout of the queue, as AWS recommends: a message must not
    be redelivered while Lambda retries a throttled batch.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        work: WorkQueue,
        package: str,
        description: str,
        environment: Mapping[str, str],
        timeout_seconds: int,
        memory_mb: int = 512,
        batch_size: int = 10,
        window_seconds: int = 0,
        max_concurrency: int | None = None,
    ) -> None:
        super().__init__(
            scope,
            id,
            context=context,
            package=package,
            description=description,
            environment=environment,
            timeout_seconds=timeout_seconds,
            memory_mb=memory_mb,
        )
        add_queue_source(
            self,
            work,
            batch_size=batch_size,
            window_seconds=window_seconds,
            max_concurrency=max_concurrency or context.config.worker_max_concurrency,
        )
