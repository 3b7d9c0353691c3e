"""Metrics of the resources by their fixed names, and the alarms on them.

Each alarm watches a single plain metric or query: CloudWatch charges for every watched metric.
"""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from cdk_monitoring_constructs import CustomMetricWithAlarm, CustomThreshold

RUNBOOK = "docs/guides/runbook.md"
MINUTE, FIVE_MINUTES, HOUR, DAY = Duration.minutes(1), Duration.minutes(5), Duration.hours(1), Duration.days(1)


@dataclass(frozen=True)
class Alarm:
    """An alarm at a value of at least `threshold` in each of `periods` consecutive periods of its metric.

    `name` is unique in an environment, `section` the heading of the runbook as an anchor, `text` a sentence about what
    is wrong. Without data an alarm is over, except where `needs_data` says that the silence is the failure: then the
    alarm rings below the threshold.
    """

    name: str
    section: str
    threshold: float
    text: str
    periods: int = 1
    needs_data: bool = False

    def on(self, metric: cloudwatch.Metric | cloudwatch.MathExpression, prefix: str) -> CustomMetricWithAlarm:
        """Return the metric with this alarm; the name of the alarm starts with the prefix of the environment."""
        comparison, missing = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
        above, below = comparison.GREATER_THAN_OR_EQUAL_TO_THRESHOLD, comparison.LESS_THAN_THRESHOLD
        threshold = CustomThreshold(
            threshold=self.threshold,
            comparison_operator=below if self.needs_data else above,
            treat_missing_data_override=missing.BREACHING if self.needs_data else missing.NOT_BREACHING,
            evaluation_periods=self.periods,
            datapoints_to_alarm=self.periods,
            alarm_name_override=f"{prefix}-{self.name}",
            alarm_description_override=f"{self.text} Runbook: {RUNBOOK}#{self.section}",
            override_annotation_visibility=False,
        )
        return CustomMetricWithAlarm(metric=metric, alarm_friendly_name=self.name, add_alarm={"Alarm": threshold})


def metric(
    namespace: str,
    name: str,
    dimensions: dict[str, str],
    *,
    statistic: str = "Sum",
    period: Duration = FIVE_MINUTES,
    label: str | None = None,
) -> cloudwatch.Metric:
    """Return a metric; `label` names the line in a graph."""
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map=dimensions,
        statistic=statistic,
        period=period,
        label=label or name,
    )


def account_query(select: str, label: str) -> cloudwatch.MathExpression:
    """Return a query over all resources of the account and region, one metric for the whole account."""
    return cloudwatch.MathExpression(expression=select, label=label, period=FIVE_MINUTES)


API_ERRORS = Alarm("api-errors", "api-errors", 0.01, "One of 100 requests, or more, is answered with 5XX.")
API_LATENCY = Alarm("api-latency", "slow-responses", 3000, "The slowest percent of responses takes 3 s.", periods=3)
API_THROTTLES = Alarm("api-throttles", "throttled-requests", 1, "The gateway refused requests with 429.")
AUTHORIZER_FAILURES = Alarm(
    "authorizer-failures", "authorizer-failures", 1, "Tokens could not be verified: their requests got 500."
)
FUNCTION_THROTTLES = Alarm(
    "function-throttles", "throttled-functions", 1, "Functions of the account reached the limit of concurrency."
)
READ_THROTTLES = Alarm("read-throttles", "throttled-tables", 1, "DynamoDB refused reads for load.")
WRITE_THROTTLES = Alarm("write-throttles", "throttled-tables", 1, "DynamoDB refused writes for load.")
