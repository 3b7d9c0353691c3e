"""What feeds the workers: messages of a queue, records of a stream."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs

from infra.data_stack import WorkQueue
from infra.function import Function
from infra.policies import acknowledge


def feed_from_queue(
    function: Function, work: WorkQueue, *, batch_size: int = 10, window_seconds: int = 0, max_concurrency: int
) -> None:
    """Batches of messages; what the worker names as failed goes back, and after five tries to the dead-letter queue."""
    source = sources.SqsEventSource(
        work.queue,
        batch_size=batch_size,
        max_batching_window=Duration.seconds(window_seconds) if window_seconds else None,
        max_concurrency=max_concurrency,
        report_batch_item_failures=True,
    )
    function.function.add_event_source(source)


def feed_from_stream(
    function: Function, table: dynamodb.Table, image: Mapping[str, object], on_failure: sqs.IQueue
) -> None:
    """Those writes whose new item fits the pattern. The stream never stops for good: a batch that fails is halved and
    tried again, and what fails after all is told to a queue."""
    pattern = {"dynamodb": {"NewImage": image}}
    function.function.add_event_source(
        sources.DynamoEventSource(
            table,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            retry_attempts=10,
            max_record_age=Duration.hours(12),  # half of what a stream keeps
            filters=[lambda_.FilterCriteria.filter(pattern)],
            on_failure=sources.SqsDlq(on_failure),
        )
    )
    acknowledge(function.role, "AwsSolutions-IAM5[Resource::*]", "dynamodb:ListStreams knows no narrower resource.")
