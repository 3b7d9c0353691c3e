"""Workers: Lambda functions that consume a queue."""

from collections.abc import Mapping, Sequence

from constructs import Construct

from infra.constructs.event_sources import add_queue_source
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.queues import WorkQueue


class Worker(LambdaFunction):
    """A Lambda function that consumes a work queue. `WorkQueue` creates the dead-letter queue.

    `timeout_seconds` must be at most a sixth of the queue's visibility timeout, as AWS recommends: a message must not
    be redelivered while Lambda retries a throttled batch. `window_seconds` is the longest wait for a full batch.
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
        extra_layers: Sequence[str] = (),
        gradual: bool = False,
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
            extra_layers=extra_layers,
            gradual=gradual,
        )
        add_queue_source(
            self,
            work,
            batch_size=batch_size,
            window_seconds=window_seconds,
            max_concurrency=max_concurrency or context.config.worker_max_concurrency,
        )
