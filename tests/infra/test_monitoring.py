"""The monitoring stack of production: alarms, their sections of the runbook, and the dashboard."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
import pytest

from infra.config import ROOT, Config
from infra.operator.cli import trimtab
from infra.settings import host
from tests.infra.conftest import LOCAL, LOCALSTACK, Synthesised, flat, functions_of, variables_of

RUNBOOK = ROOT / "docs" / "guides" / "runbook.md"
PARTS = ("**Meaning.**", "**Look here.**", "**Do this.**", "**Over when.**")


@pytest.fixture(scope="module")
def alarms(production: Synthesised) -> dict[str, Any]:
    """The properties of each alarm by its name without the prefix of the environment."""
    found = production.monitoring_template.find_resources("AWS::CloudWatch::Alarm").values()
    return {each["Properties"]["AlarmName"].removeprefix("trimtab-prod-"): each["Properties"] for each in found}


def metric_of(alarm: dict[str, Any]) -> dict[str, Any]:
    """Return the only metric of an alarm, with its statistic; of a query, the expression."""
    (query,) = alarm["Metrics"]
    if "Expression" in query:
        return {"Expression": query["Expression"]}
    stat = query["MetricStat"]
    dimensions = {each["Name"]: each["Value"] for each in stat["Metric"].get("Dimensions", [])}
    name, namespace = stat["Metric"]["MetricName"], stat["Metric"]["Namespace"]
    return {"name": name, "namespace": namespace, **dimensions, "statistic": stat["Stat"], "period": stat["Period"]}


def sections() -> dict[str, str]:
    """Return the sections of the runbook by anchor."""
    _, *parts = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)
    titles = [part.partition("\n")[0] for part in parts]
    return {title.lower().replace(" ", "-"): part for title, part in zip(titles, parts, strict=True)}


def test_every_alarm_has_a_section_of_the_runbook_and_every_section_an_alarm(alarms: dict[str, Any]) -> None:
    named = {
        name: re.search(r"docs/guides/runbook\.md#([a-z0-9-]+)$", each["AlarmDescription"])
        for name, each in alarms.items()
    }

    assert all(named.values())
    # Cost anomalies have a monitor of their own, and gradual releases have alarms in the retained stack.
    elsewhere = {"cost-anomaly", "failed-releases"}
    assert {match[1] for match in named.values() if match} | elsewhere == set(sections())


def test_every_section_of_the_runbook_says_meaning_place_remedy_and_end() -> None:
    for title, text in sections().items():
        assert [part for part in PARTS if part not in text] == [], title


def test_the_runbook_names_commands_that_the_command_line_has() -> None:
    named = re.findall(r"`trimtab ([a-z-]+)(?: ([a-z-]+))?`", RUNBOOK.read_text())

    assert named
    for name, part in named:
        command = trimtab.commands[name]
        assert isinstance(command, click.Group) == bool(part), name
        assert not isinstance(command, click.Group) or part in command.commands


def test_an_alarm_is_published_when_it_rings_and_when_it_is_over(
    production: Synthesised, alarms: dict[str, Any]
) -> None:
    for alarm in alarms.values():
        assert alarm["ActionsEnabled"]
        assert len(alarm["AlarmActions"]) == 1
        assert alarm["AlarmActions"] == alarm["OKActions"]
        assert "Alerts" in json.dumps(alarm["AlarmActions"])


def test_wrong_responses_slow_responses_and_refusals_of_the_api_ring(
    production: Synthesised, alarms: dict[str, Any]
) -> None:
    api = {"namespace": "AWS/ApiGateway", "ApiName": "trimtab-prod", "period": 300}
    assert metric_of(alarms["api-errors"]) == {**api, "name": "5XXError", "statistic": "Average"}
    assert alarms["api-errors"]["Threshold"] == 0.01
    assert metric_of(alarms["api-latency"]) == {**api, "name": "Latency", "statistic": "p99"}

    filters = production.monitoring_template.find_resources("AWS::Logs::MetricFilter").values()
    patterns = {
        change["MetricName"]: each["Properties"]["FilterPattern"]
        for each in filters
        for change in each["Properties"]["MetricTransformations"]
    }
    assert patterns == {
        "ThrottledRequests": '{ ($.error = "THROTTLED") || ($.error = "QUOTA_EXCEEDED") }',
        "AuthorizerFailures": '{ $.error = "AUTHORIZER_*" }',
    }
    for name, metric in (("api-throttles", "ThrottledRequests"), ("authorizer-failures", "AuthorizerFailures")):
        assert metric_of(alarms[name])["name"] == metric


def test_every_function_has_alarms_on_failures_and_on_the_slowest_percent(
    production: Synthesised, alarms: dict[str, Any]
) -> None:
    functions = functions_of(production)
    names = {package: each["Properties"]["FunctionName"] for package, each in functions.items()}
    for package, name in names.items():
        slow = metric_of(alarms[f"{package}-duration"])
        assert (slow["FunctionName"], slow["name"], slow["statistic"]) == (name, "Duration", "p99")
        limit = alarms[f"{package}-duration"]["Threshold"]
        assert limit <= functions[package]["Properties"]["Timeout"] * 800
        if package != "authorizer":  # a refused token counts as an error of the authorizer
            assert metric_of(alarms[f"{package}-errors"])["FunctionName"] == name
    assert alarms["portfolios_api-duration"]["Threshold"] == 3000
    assert alarms["market_on_night-duration"]["Threshold"] == 720_000
    assert metric_of(alarms["function-throttles"])["name"] == "Throttles"
    assert "FunctionName" not in metric_of(alarms["function-throttles"])


def test_every_queue_and_every_reader_of_a_stream_has_its_alarms(
    production: Synthesised, alarms: dict[str, Any]
) -> None:
    queues = production.retained_template.find_resources("AWS::SQS::Queue").values()
    names = {each["Properties"]["QueueName"] for each in queues}
    metrics = [metric_of(alarm) for alarm in alarms.values()]
    watched = {each["QueueName"] for each in metrics if "QueueName" in each}
    counts = Counter(each.get("name") for each in metrics)

    assert watched == names
    dead = {name for name in names if name.endswith("-dead")}
    assert counts["ApproximateAgeOfOldestMessage"] == len(dead)
    assert counts["ApproximateNumberOfMessagesVisible"] == len(names) - len(dead)
    readers = production.service_template.find_resources("AWS::Lambda::EventSourceMapping").values()
    streams = {
        json.dumps(each["Properties"]["FunctionName"]) for each in readers if "StartingPosition" in each["Properties"]
    }
    assert counts["IteratorAge"] == len(streams)


def test_throttled_reads_and_writes_of_any_table_or_index_ring(alarms: dict[str, Any]) -> None:
    reads, writes = (metric_of(alarms[f"{name}-throttles"])["Expression"] for name in ("read", "write"))
    assert reads == 'SELECT SUM(ReadThrottleEvents) FROM "AWS/DynamoDB"'
    assert writes == 'SELECT SUM(WriteThrottleEvents) FROM "AWS/DynamoDB"'


def test_business_alarms_watch_metrics_of_deployed_functions_in_their_namespace(
    production: Synthesised, alarms: dict[str, Any]
) -> None:
    business = {name: metric_of(each) for name, each in alarms.items() if "service" in metric_of(each)}

    assert set(business) == {
        *("watch-lag", "held-prices", "stale-portfolios", "attention", "rollbacks", "missing-bars", "no-ingestion"),
        *("webhook-failures", "failed-pushes", "broker-circuit", "bars-circuit"),
    }
    for metric in business.values():
        variables = variables_of(production, metric["service"])
        assert variables["POWERTOOLS_SERVICE_NAME"] == metric["service"]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == metric["namespace"] == "Trimtab/prod"
    assert alarms["no-ingestion"]["TreatMissingData"] == "breaching"
    assert {each["TreatMissingData"] for name, each in alarms.items() if name != "no-ingestion"} == {"notBreaching"}


def test_unusual_costs_are_published_on_the_alerts_topic(production: Synthesised) -> None:
    (subscription,) = production.monitoring_template.find_resources("AWS::CE::AnomalySubscription").values()
    (monitor,) = production.monitoring_template.find_resources("AWS::CE::AnomalyMonitor").values()
    (subscriber,) = subscription["Properties"]["Subscribers"]

    assert json.loads(monitor["Properties"]["MonitorSpecification"]) == {
        "Tags": {"Key": "application", "Values": ["trimtab"]}
    }
    assert subscriber["Type"] == "SNS"
    assert "Alerts" in json.dumps(subscriber["Address"])


def test_the_dashboard_reads_from_the_users_down_to_the_business(production: Synthesised) -> None:
    (dashboard,) = production.monitoring_template.find_resources("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(flat(dashboard["Properties"]["DashboardBody"]))["widgets"]
    headings = [each["properties"]["markdown"] for each in widgets if each["type"] == "text"]

    assert [text for text in headings if text.startswith("# ")] == [
        *("# Users", "# API functions", "# Queues", "# Workers", "# Tables", "# Business")
    ]
    assert [each["y"] for each in widgets] == sorted(each["y"] for each in widgets)
    assert len(widgets) <= 60


def test_an_idle_stack_stays_cheap_because_an_alarm_watches_a_single_metric(alarms: dict[str, Any]) -> None:
    assert all(len(alarm["Metrics"]) == 1 for alarm in alarms.values())
    assert len(alarms) <= 160  # at 0.10 USD a month each


def test_local_clouds_have_no_monitoring_stack(synthesised: Callable[[Config], Synthesised]) -> None:
    assert not LOCAL.alarms
    assert synthesised(replace(LOCALSTACK, target=host())).monitoring is None
