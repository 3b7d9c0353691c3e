"""The monitoring stack: a dashboard to read from top to bottom, and the alarms on the shown metrics."""

import json
from collections.abc import Sequence

from aws_cdk import Environment, Stack
from aws_cdk import aws_ce as ce
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from cdk_monitoring_constructs import (
    AlarmFactoryDefaults,
    CustomMetricGroup,
    CustomMetricWithAlarm,
    DefaultDashboardFactory,
    MonitoringFacade,
    SnsAlarmActionStrategy,
)
from constructs import Construct

from infra.config import Config
from infra.constructs.alarms import (
    API_ERRORS,
    API_LATENCY,
    API_THROTTLES,
    AUTHORIZER_FAILURES,
    FUNCTION_THROTTLES,
    MINUTE,
    READ_THROTTLES,
    WRITE_THROTTLES,
    Alarm,
    account_query,
    metric,
)
from infra.constructs.api import ApiFunction
from infra.constructs.business_alarms import business_graphs
from infra.constructs.function import LambdaFunction, metrics_namespace
from infra.stacks.retained import RetainedStack
from infra.stacks.service import ServiceStack

Watched = cloudwatch.Metric | cloudwatch.MathExpression
SLOW_RESPONSE_MILLISECONDS = 3000
NEAR_TIMEOUT = 0.8
"""The part of its time-out that the slowest percent of a worker's invocations may take."""
COST_ANOMALY_DOLLARS = 20


class MonitoringStack(Stack):
    """Dashboard and alarms of an environment; functions and tables do not depend on the monitoring stack.

    Metrics name functions and queues by fixed names, so the stack imports little from the others. Every alarm publishes
    on the alerts topic, both when the alarm rings and when the alarm is over.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: Config,
        env: Environment,
        retained: RetainedStack,
        service: ServiceStack,
        description: str,
    ) -> None:
        super().__init__(scope, id, env=env, description=description)
        self._config = config
        self._retained = retained
        self._service = service
        topic = retained.platform.alerts
        self._facade = MonitoringFacade(
            self,
            config.prefix,
            alarm_factory_defaults=AlarmFactoryDefaults(
                actions_enabled=True,
                alarm_name_prefix=config.prefix,
                action=SnsAlarmActionStrategy(on_alarm_topic=topic, on_ok_topic=topic),
            ),
            dashboard_factory=DefaultDashboardFactory(self, "Dashboards", dashboard_name_prefix=config.prefix),
        )
        functions = [each for each in service.node.find_all() if isinstance(each, LambdaFunction)]
        behind_api = [each for each in functions if isinstance(each, ApiFunction)]
        workers = [each for each in functions if not isinstance(each, ApiFunction)]
        self._show("Users", self._user_graphs())
        self._show("API functions", self._function_graphs(behind_api))
        self._show("Queues", self._queue_graphs())
        self._show("Workers", [*self._function_graphs(workers), *self._worker_graphs(workers)])
        self._show("Tables", self._table_graphs())
        self._show("Business", self._business_graphs())
        self._watch_costs(topic)

    def _show(self, title: str, groups: Sequence[CustomMetricGroup]) -> None:
        self._facade.add_large_header(title)
        self._facade.monitor_custom(
            metric_groups=groups,
            alarm_friendly_name=title.replace(" ", ""),
            human_readable_name="The runbook, docs/guides/runbook.md, has a section for each alarm.",
        )

    def _ring(self, watched: Watched, alarm: Alarm) -> CustomMetricWithAlarm:
        return alarm.on(watched, self._config.prefix)

    # Users and functions -----------------------------------------------------------------------------------------

    def _user_graphs(self) -> list[CustomMetricGroup]:
        api = {"ApiName": self._config.prefix}
        errors = metric("AWS/ApiGateway", "5XXError", api, statistic="Average", label="part of requests with 5XX")
        slowest = metric("AWS/ApiGateway", "Latency", api, statistic="p99", label="p99")
        refused = metric("AWS/ApiGateway", "4XXError", api, statistic="Average", label="part of requests with 4XX")
        return [
            CustomMetricGroup(title="Requests", metrics=[metric("AWS/ApiGateway", "Count", api)]),
            CustomMetricGroup(title="Errors", metrics=[self._ring(errors, API_ERRORS), refused]),
            CustomMetricGroup(
                title="Latency (ms)",
                metrics=[
                    metric("AWS/ApiGateway", "Latency", api, statistic="p50", label="p50"),
                    self._ring(slowest, API_LATENCY),
                ],
            ),
            *self._access_log_graphs(),
        ]

    def _access_log_graphs(self) -> list[CustomMetricGroup]:
        """Count the refusals of the gateway in its access logs; API Gateway has no metric for them."""
        access_logs = self._service.api.access_logs
        if access_logs is None:
            return []
        throttled = '{ ($.error = "THROTTLED") || ($.error = "QUOTA_EXCEEDED") }'
        metrics = [
            self._ring(self._count_in(access_logs, "ThrottledRequests", throttled), API_THROTTLES),
            self._ring(
                self._count_in(access_logs, "AuthorizerFailures", '{ $.error = "AUTHORIZER_*" }'), AUTHORIZER_FAILURES
            ),
        ]
        return [CustomMetricGroup(title="Refused by the gateway", metrics=[*metrics])]

    def _count_in(self, log_group: logs.ILogGroup, name: str, pattern: str) -> cloudwatch.Metric:
        namespace = metrics_namespace(self._config)
        logs.MetricFilter(
            self,
            name,
            log_group=log_group,
            filter_pattern=logs.FilterPattern.literal(pattern),
            metric_namespace=namespace,
            metric_name=name,
        )
        return metric(namespace, name, {})

    def _function_graphs(self, functions: Sequence[LambdaFunction]) -> list[CustomMetricGroup]:
        """Return the errors, the slowest percent and the throttles of functions, one line for each function."""
        names = {each.name: each.package for each in functions}
        concurrent = "ConcurrentExecutions"
        return [
            CustomMetricGroup(title="Failed invocations", metrics=[self._errors(each) for each in functions]),
            CustomMetricGroup(title="Duration, p99 (ms)", metrics=[self._duration(each) for each in functions]),
            CustomMetricGroup(
                title="Throttled invocations",
                metrics=[_of_function(name, "Throttles", label=package) for name, package in names.items()],
            ),
            CustomMetricGroup(
                title="Concurrent invocations",
                metrics=[
                    _of_function(name, concurrent, statistic="Maximum", label=package)
                    for name, package in names.items()
                ],
            ),
        ]

    def _errors(self, function: LambdaFunction) -> Watched | CustomMetricWithAlarm:
        errors = _of_function(function.name, "Errors", label=function.package)
        if function.package == "authorizer":
            return errors  # a token that is not valid yet is an error, too; the access logs tell failures from refusals
        text = f"The function {function.package} failed."
        return self._ring(errors, Alarm(f"{function.package}-errors", "failing-functions", 1, text))

    def _duration(self, function: LambdaFunction) -> CustomMetricWithAlarm:
        is_awaited = isinstance(function, ApiFunction)
        limit = SLOW_RESPONSE_MILLISECONDS if is_awaited else function.timeout_seconds * 1000 * NEAR_TIMEOUT
        text = f"The slowest percent of the invocations of {function.package} takes {limit:.0f} ms or longer."
        alarm = Alarm(f"{function.package}-duration", "slow-functions", limit, text, periods=3)
        return self._ring(_of_function(function.name, "Duration", statistic="p99", label=function.package), alarm)

    def _worker_graphs(self, workers: Sequence[LambdaFunction]) -> list[CustomMetricGroup]:
        """Return the age of stream records, and the throttles of the account, whose functions share one limit."""
        throttles = metric("AWS/Lambda", "Throttles", {})
        return [
            CustomMetricGroup(
                title="Age of stream records (ms)",
                metrics=[self._stream_age(each) for each in workers if each.reads_stream],
            ),
            CustomMetricGroup(
                title="Throttled invocations of the account", metrics=[self._ring(throttles, FUNCTION_THROTTLES)]
            ),
        ]

    def _stream_age(self, function: LambdaFunction) -> CustomMetricWithAlarm:
        seconds = self._config.oldest_message_alarm_seconds
        text = f"The function {function.package} is {seconds} s behind its stream: events or checks are late."
        alarm = Alarm(f"{function.package}-stream-age", "late-events", seconds * 1000, text)
        age = _of_function(function.name, "IteratorAge", statistic="Maximum", label=function.package)
        return self._ring(age, alarm)

    # Queues and tables -------------------------------------------------------------------------------------------

    def _queue_graphs(self) -> list[CustomMetricGroup]:
        work = [each.name for each in self._retained.work_queues]
        failures = [each.name for each in self._retained.failure_queues]
        depth = "ApproximateNumberOfMessagesVisible"
        return [
            CustomMetricGroup(title="Messages waiting", metrics=[self._of_queue(name, depth) for name in work]),
            CustomMetricGroup(title="Age of the oldest message (s)", metrics=[self._age(name) for name in work]),
            CustomMetricGroup(
                title="Dead letters", metrics=[self._held(f"{name}-dead", "dead-letters") for name in work]
            ),
            CustomMetricGroup(title="Failed work", metrics=[self._held(name, "failed-work") for name in failures]),
        ]

    def _age(self, name: str) -> CustomMetricWithAlarm:
        seconds = self._config.oldest_message_alarm_seconds
        text = f"A message on {name} has waited {seconds} s: the worker is stopped, throttled or too slow."
        age = self._of_queue(name, "ApproximateAgeOfOldestMessage")
        return self._ring(age, Alarm(f"{name}-age", "late-messages", seconds, text))

    def _held(self, name: str, section: str) -> CustomMetricWithAlarm:
        depth = self._of_queue(name, "ApproximateNumberOfMessagesVisible")
        return self._ring(depth, Alarm(f"{name}-messages", section, 1, f"{name} holds a message that failed."))

    def _of_queue(self, name: str, metric_name: str) -> cloudwatch.Metric:
        queue = {"QueueName": f"{self._config.prefix}-{name}"}
        return metric("AWS/SQS", metric_name, queue, statistic="Maximum", period=MINUTE, label=name)

    def _table_graphs(self) -> list[CustomMetricGroup]:
        """Return the throttles of all tables and indexes of the account, and the used units of each table."""
        reads = account_query('SELECT SUM(ReadThrottleEvents) FROM "AWS/DynamoDB"', "reads")
        writes = account_query('SELECT SUM(WriteThrottleEvents) FROM "AWS/DynamoDB"', "writes")
        by_table = 'SELECT SUM({}) FROM SCHEMA("AWS/DynamoDB", TableName) GROUP BY TableName'
        return [
            CustomMetricGroup(
                title="Throttled reads and writes of the account",
                metrics=[self._ring(reads, READ_THROTTLES), self._ring(writes, WRITE_THROTTLES)],
            ),
            CustomMetricGroup(
                title="Read units", metrics=[account_query(by_table.format("ConsumedReadCapacityUnits"), "")]
            ),
            CustomMetricGroup(
                title="Write units", metrics=[account_query(by_table.format("ConsumedWriteCapacityUnits"), "")]
            ),
        ]

    # Business ----------------------------------------------------------------------------------------------------

    def _business_graphs(self) -> list[CustomMetricGroup]:
        graphs = business_graphs(metrics_namespace(self._config))
        return [
            CustomMetricGroup(
                title=title, metrics=[self._ring(each, alarm) if alarm else each for each, alarm in lines]
            )
            for title, lines in graphs.items()
        ]

    def _watch_costs(self, topic: sns.ITopic) -> None:
        """Report unusual costs of the resources with the tag `application`, which AWS finds by itself once a day.

        The tag must be activated as a cost allocation tag of the account.
        """
        name = f"{self._config.prefix}-cost-anomaly"
        monitor = ce.CfnAnomalyMonitor(
            self,
            "CostMonitor",
            monitor_name=name,
            monitor_type="CUSTOM",
            monitor_specification=json.dumps({"Tags": {"Key": "application", "Values": ["trimtab"]}}),
        )
        impact = {"Key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE", "MatchOptions": ["GREATER_THAN_OR_EQUAL"]}
        ce.CfnAnomalySubscription(
            self,
            "CostSubscription",
            subscription_name=name,
            monitor_arn_list=[monitor.attr_monitor_arn],
            subscribers=[ce.CfnAnomalySubscription.SubscriberProperty(type="SNS", address=topic.topic_arn)],
            frequency="IMMEDIATE",
            threshold_expression=json.dumps({"Dimensions": {**impact, "Values": [str(COST_ANOMALY_DOLLARS)]}}),
        )


def _of_function(name: str, metric_name: str, *, statistic: str = "Sum", label: str) -> cloudwatch.Metric:
    return metric("AWS/Lambda", metric_name, {"FunctionName": name}, statistic=statistic, label=label)
