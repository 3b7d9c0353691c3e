"""The basic alarms. Each is on one plain metric: local clouds refuse metric mathematics."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Config

_MINUTE = Duration.minutes(1)


class Alarms(Construct):
    """Alarms that tell the alerts topic; with alarms switched off in the config it makes none."""

    def __init__(self, scope: Construct, id: str, *, config: Config, topic: sns.ITopic) -> None:
        super().__init__(scope, id)
        self._enabled = config.alarms
        self._oldest_seconds = config.oldest_message_alarm_seconds
        self._topic = topic

    def function_errors(self, function: lambda_.IFunction, name: str) -> None:
        """Any failed invocation within a minute."""
        metric = function.metric_errors(period=_MINUTE, statistic="Sum")
        self._alarm(f"{name}-errors", metric, 1, f"The function {name} failed: read its log.")

    def oldest_message(self, queue: sqs.IQueue, name: str) -> None:
        """Work that waits longer than configured: the worker is stopped, throttled or too slow."""
        metric = queue.metric_approximate_age_of_oldest_message(period=_MINUTE, statistic="Maximum")
        text = f"A message on {name} has waited {self._oldest_seconds} s: the worker is stopped, throttled or too slow."
        self._alarm(f"{name}-age", metric, self._oldest_seconds, text)

    def any_message(self, queue: sqs.IQueue, name: str) -> None:
        """For queues that are empty while all is well."""
        metric = queue.metric_approximate_number_of_messages_visible(period=_MINUTE, statistic="Maximum")
        self._alarm(f"{name}-any", metric, 1, f"There is a message in {name}: look at it, then redrive or delete it.")

    def stream_age(self, function: lambda_.IFunction, name: str) -> None:
        """Events older than configured and not yet published."""
        metric = function.metric("IteratorAge", period=_MINUTE, statistic="Maximum")
        text = f"{name} is {self._oldest_seconds} s behind its stream: events are late."
        self._alarm(f"{name}-behind", metric, self._oldest_seconds * 1000, text)

    def _alarm(self, id: str, metric: cloudwatch.Metric, threshold: int, description: str) -> None:
        if not self._enabled:
            return
        alarm = metric.create_alarm(
            self,
            id,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
