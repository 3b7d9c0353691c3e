"""The basic alarms. Each alarm is on one plain metric: local clouds refuse metric mathematics."""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Config

_MINUTE = Duration.minutes(1)


@dataclass(frozen=True)
class Alarms:
    """Make alarms that publish to the alerts topic; make none if the config switches alarms off.

    The alarm of a queue becomes a child of the queue, that of a function a child of `functions`, in the stack of the
    topic: the stack of the functions comes close to the 500 resources that CloudFormation allows.
    """

    config: Config
    topic: sns.ITopic
    functions: Construct

    def watch_errors(self, function: str) -> None:
        """Alarm at the first failed invocation of the function with this name within a minute."""
        metric = _metric_of(function, "Errors", "Sum")
        self._alarm(self.functions, f"{function}-errors", metric, 1, f"The function {function} failed. Read its log.")

    def watch_oldest_message(self, owner: Construct, queue: sqs.IQueue, name: str) -> None:
        """Alarm when a message waits longer than configured."""
        seconds = self.config.oldest_message_alarm_seconds
        metric = queue.metric_approximate_age_of_oldest_message(period=_MINUTE, statistic="Maximum")
        text = f"A message on {name} has waited {seconds} s: the worker is stopped, throttled or too slow."
        self._alarm(owner, "AgeAlarm", metric, seconds, text)

    def watch_messages(self, owner: Construct, queue: sqs.IQueue, name: str) -> None:
        """Alarm at the first message on a normally empty queue."""
        metric = queue.metric_approximate_number_of_messages_visible(period=_MINUTE, statistic="Maximum")
        text = f"{name} holds a message. Inspect the message, then redrive or delete it."
        self._alarm(owner, "MessagesAlarm", metric, 1, text)

    def watch_stream_age(self, function: str) -> None:
        """Alarm when a stream record waits for the function with this name longer than configured."""
        seconds = self.config.oldest_message_alarm_seconds
        metric = _metric_of(function, "IteratorAge", "Maximum")
        text = f"The function {function} is {seconds} s behind its stream: events are late."
        self._alarm(self.functions, f"{function}-stream-age", metric, seconds * 1000, text)

    def _alarm(self, owner: Construct, id: str, metric: cloudwatch.Metric, threshold: int, description: str) -> None:
        if not self.config.alarms:
            return
        alarm = metric.create_alarm(
            owner,
            id,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))


def _metric_of(function: str, name: str, statistic: str) -> cloudwatch.Metric:
    """Return a metric by the fixed name of the function, so that no stack refers to another."""
    return cloudwatch.Metric(
        namespace="AWS/Lambda",
        metric_name=name,
        dimensions_map={"FunctionName": function},
        period=_MINUTE,
        statistic=statistic,
    )
