"""Event sources of the functions: messages of a queue, records of a stream."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources

from infra.constructs.function import LambdaFunction
from infra.constructs.policies import acknowledge
from infra.constructs.queues import FailureQueue, WorkQueue


def add_queue_source(
    function: LambdaFunction, work: WorkQueue, *, batch_size: int = 10, window_seconds: int = 0, max_concurrency: int
) -> None:
    """Invoke the function with batches of messages; messages reported as failed return to the queue."""
    source = sources.SqsEventSource(
        work.queue,
        batch_size=batch_size,
        max_batching_window=Duration.seconds(window_seconds) if window_seconds else None,
        max_concurrency=max_concurrency,
        report_batch_item_failures=True,
    )
    function.invoked.add_event_source(source)


def add_stream_source(
    function: LambdaFunction, table: dynamodb.ITable, new_image: Mapping[str, object], on_failure: FailureQueue
) -> None:
    """Invoke the function with the writes whose new item matches the pattern.

    A failed batch is bisected and retried, so that the stream is never blocked for good. Records that still fail after
    ten retries or twelve hours (half of the retention of a stream) are reported to the failure queue.
    """
    function.allow_data_key()
    pattern = {"dynamodb": {"NewImage": new_image}}
    function.reads_stream = True
    function.invoked.add_event_source(
        sources.DynamoEventSource(
            table,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            retry_attempts=10,
            max_record_age=Duration.hours(12),
            filters=[lambda_.FilterCriteria.filter(pattern)],
            on_failure=sources.SqsDlq(on_failure.queue),
        )
    )
    acknowledge(function.role, "AwsSolutions-IAM5[Resource::*]", "dynamodb:ListStreams has no narrower resource.")
