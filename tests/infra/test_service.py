"""Functions, API and alarms of production."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match

from infra.config import ROOT
from infra.gateway_responses import GATEWAY_PROBLEMS
from infra.routes import routes_of
from tests.infra.conftest import FEED, PROVIDER, TIPSTER, Synthesised, flat, functions_of, statements_of, strings

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
NIGHT_ACTIONS = ("GetItem", "BatchGetItem", "PutItem", "BatchWriteItem")
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator")
WATCHERS = ("market_on_quote_received", "balancing_on_check_requested")
ANALYSTS = ("analytics_api", "analytics_on_valuation_requested")
PUBLIC = {route.path for route in routes_of("platform_api")} | {"/links/{token}"}


def test_every_handler_in_the_repository_is_a_deployed_function(production: Synthesised) -> None:
    assert sorted(functions_of(production)) == FUNCTIONS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_asset_of_a_function_holds_its_handler_and_no_other(production: Synthesised, name: str) -> None:
    asset = _asset(production, functions_of(production)[name])
    packages = {path.parent.name for path in asset.rglob("handler.py")}

    assert packages == {name}
    assert (asset / "functions" / "__init__.py").exists()
    assert sorted(path.name for path in asset.iterdir()) in (["functions"], ["__pycache__", "functions"])


def test_every_function_has_its_own_role_a_log_group_that_ends_and_its_layers(production: Synthesised) -> None:
    functions = [function["Properties"] for function in functions_of(production).values()]
    layers = {name: len(function["Properties"]["Layers"]) for name, function in functions_of(production).items()}
    roles = Counter(json.dumps(function["Role"]) for function in functions)

    assert set(roles.values()) == {1}
    assert layers == {name: 3 if name == "betting_rpc" else 2 for name in FUNCTIONS}
    assert all("LogGroup" in function["LoggingConfig"] for function in functions)
    groups = production.service_template.find_resources("AWS::Logs::LogGroup").values()
    assert all(group["Properties"]["RetentionInDays"] == 90 for group in groups)


def test_no_policy_of_a_function_grants_a_wildcard_but_the_listing_of_streams(production: Synthesised) -> None:
    statements = [
        statement
        for policy in production.service_template.find_resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    broad = [each for each in statements if "*" in strings(each["Resource"])]

    assert [each["Action"] for each in broad] == ["dynamodb:ListStreams"] * 3  # one a reader of streams
    assert not [each for each in statements if any("*" in action for action in strings(each["Action"]))]


def test_market_data_are_written_by_their_own_functions_and_only_read_for_portfolios(production: Synthesised) -> None:
    (table,) = (it for it in production.data_template.find_resources("AWS::DynamoDB::Table") if "Market" in it)
    granted: dict[str, set[str]] = {}
    for name, function in functions_of(production).items():
        for statement in statements_of(production, function):
            if table in json.dumps(statement["Resource"]):
                granted.setdefault(name, set()).update(strings(statement["Action"]))

    assert granted == {
        "market_api": {f"dynamodb:{it}" for it in ("GetItem", "BatchGetItem", "Query", "PutItem")},
        "market_on_night": {f"dynamodb:{it}" for it in (*NIGHT_ACTIONS, "Query")},
        "events_on_commit": {f"dynamodb:{it}" for it in STREAM_ACTIONS},
        "market_on_quote_received": {"dynamodb:UpdateItem"},
        "balancing_api": {"dynamodb:BatchGetItem"},
        "balancing_on_check_requested": {"dynamodb:BatchGetItem"},
        "execution_on_execution_requested": {"dynamodb:BatchGetItem", "dynamodb:GetItem"},
        "portfolios_api": {"dynamodb:BatchGetItem", "dynamodb:Query"},
        "ledger_on_recalculation_requested": {"dynamodb:BatchGetItem"},
        "analytics_on_report_requested": {"dynamodb:BatchGetItem"},
        **{name: {"dynamodb:BatchGetItem", "dynamodb:Query"} for name in ANALYSTS},
    }


def test_the_gateways_methods_are_the_resolvers_routes(production: Synthesised) -> None:
    of_clients = [name for name in FUNCTIONS if name.endswith(("_api", "_rpc"))]
    declared = {(route.method, route.path) for name in of_clients for route in routes_of(name)}

    assert ("POST", "/trimtab.betting.v1.OrderService/{method}") in declared
    assert {(method, path) for method, path, _ in _methods(production)} == declared


def test_every_method_but_the_platforms_needs_the_authorizer(production: Synthesised) -> None:
    open_paths = {path for _, path, kind in _methods(production) if kind == "NONE"}
    guarded = {kind for _, path, kind in _methods(production) if path not in PUBLIC}

    assert open_paths == PUBLIC
    assert guarded == {"CUSTOM"}


def test_the_gateways_own_answers_are_problem_documents(production: Synthesised) -> None:
    responses = production.service_template.find_resources("AWS::ApiGateway::GatewayResponse").values()

    assert len(responses) == len(GATEWAY_PROBLEMS)
    for response in responses:
        properties = response["Properties"]
        assert properties["ResponseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        template = properties["ResponseTemplates"]["application/json"]
        body = json.loads(template.replace("$context.error.messageString", '"why"'))
        assert set(body) == {"type", "title", "status", "detail", "trace_id"}
        assert str(body["status"]) == properties["StatusCode"]
        assert re.fullmatch(r"urn:trimtab:problem:[a-z_]+", body["type"])


def test_the_stage_is_throttled_and_writes_access_logs_as_json(production: Synthesised) -> None:
    (stage,) = production.service_template.find_resources("AWS::ApiGateway::Stage").values()
    (settings,) = stage["Properties"]["MethodSettings"]

    assert settings["ThrottlingRateLimit"] == 500
    assert settings["DataTraceEnabled"] is False
    logged = set(json.loads(stage["Properties"]["AccessLogSetting"]["Format"]).values())
    assert {"$context.requestId", "$context.resourcePath"} <= logged
    assert "$context.path" not in logged, "it holds the tokens of links"


def test_every_queue_worker_returns_single_messages_and_is_limited(production: Synthesised) -> None:
    batches = {}
    for feed in _feeds(production):
        if "ScalingConfig" in feed:
            assert feed["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            batches[_function_of(production, feed)] = (feed["BatchSize"], feed["ScalingConfig"]["MaximumConcurrency"])

    assert batches == {
        "betting_on_insight_received": (10, 20),
        "betting_on_settlement_requested": (5, 10),
        "analytics_on_report_requested": (1, 20),
        "analytics_on_valuation_requested": (10, 20),
        "notifications_on_alert": (10, 20),
        "market_on_quote_received": (10, 20),
        "balancing_on_check_requested": (10, 20),
        "execution_on_execution_requested": (1, 10),
        "rebalancing_on_rebalance_requested": (10, 20),
        "ledger_on_recalculation_requested": (1, 5),
    }


def test_a_reader_of_a_stream_bisects_gives_up_and_leaves_what_failed_in_a_queue(production: Synthesised) -> None:
    feeds = [feed for feed in _feeds(production) if "StartingPosition" in feed]
    patterns: dict[str, list[Any]] = {}
    for feed in feeds:
        pattern = [json.loads(each["Pattern"]) for each in feed["FilterCriteria"]["Filters"]]
        patterns.setdefault(_function_of(production, feed), []).extend(pattern)

    exists = {"S": [{"exists": True}]}
    may_need_settling = {"sk": {"S": ["ORDER", "MARKET"]}, "status": {"S": ["OPEN", "CLOSED"]}}
    assert patterns == {
        "betting_on_commit": [{"dynamodb": {"NewImage": may_need_settling}}],
        "events_on_commit": [{"dynamodb": {"NewImage": {"events": exists}}}] * 4,  # one a table with events
        "balancing_on_commit": [{"dynamodb": {"NewImage": {"sk": {"S": ["PORTFOLIO"]}, "watch_due": exists}}}],
    }
    for feed in feeds:
        assert feed["BisectBatchOnFunctionError"]
        assert (feed["MaximumRetryAttempts"], feed["MaximumRecordAgeInSeconds"]) == (10, 12 * 3600)
        assert feed["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert feed["DestinationConfig"]["OnFailure"]["Destination"]


def test_a_lease_outlives_the_worker_that_holds_it_by_thirty_seconds(production: Synthesised) -> None:
    worker = functions_of(production)["execution_on_execution_requested"]["Properties"]

    assert int(worker["Environment"]["Variables"]["LEASE_SECONDS"]) == worker["Timeout"] + 30


def test_readers_and_writers_of_watches_agree_on_their_shards(production: Synthesised) -> None:
    settings = [functions_of(production)[name]["Properties"]["Environment"]["Variables"] for name in WATCHERS]

    assert [each["WATCH_SHARDS"] for each in settings] == ["4", "4"]


def test_the_sweeper_runs_every_five_minutes_and_its_failures_are_kept(production: Synthesised) -> None:
    production.service_template.has_resource_properties("AWS::Events::Rule", {"ScheduleExpression": "rate(5 minutes)"})
    production.service_template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig", {"DestinationConfig": {"OnFailure": {"Destination": Match.any_value()}}}
    )


def test_the_worker_believes_our_roles_for_every_tenant_and_a_provider_for_its_own(production: Synthesised) -> None:
    worker = functions_of(production)["rebalancing_on_rebalance_requested"]
    text = flat(worker["Properties"]["Environment"]["Variables"]["SENDER_TENANTS"])
    senders = json.loads(text)

    assert [senders.pop(provider.sender_id) for provider in (PROVIDER, FEED, TIPSTER)] == [["acme"]] * 3
    assert list(senders.values()) == [["*"], ["*"]]
    assert all("RoleId" in sender for sender in senders)


def test_who_says_what_is_thought_of_a_selection_speaks_for_its_own_tenants_only(production: Synthesised) -> None:
    worker = functions_of(production)["betting_on_insight_received"]

    assert json.loads(flat(worker["Properties"]["Environment"]["Variables"]["SENDER_TENANTS"])) == {
        TIPSTER.sender_id: ["acme"]
    }


def test_each_function_of_betting_may_do_to_its_table_what_it_does_and_nothing_else(production: Synthesised) -> None:
    (table,) = (it for it in production.data_template.find_resources("AWS::DynamoDB::Table") if "Betting" in it)
    granted: dict[str, set[str]] = {}
    for name, function in functions_of(production).items():
        for statement in statements_of(production, function):
            resource = json.dumps(statement["Resource"])
            if table in resource and "Stream" not in resource and "/index/" not in resource:
                actions = {action.removeprefix("dynamodb:") for action in strings(statement["Action"])}
                granted.setdefault(name, set()).update(actions)

    writes = {"PutItem", "UpdateItem"}
    assert granted == {
        "betting_api": {"GetItem", "BatchGetItem", "Query", "ConditionCheckItem", *writes},
        "betting_rpc": {"GetItem", "BatchGetItem", "Query", "ConditionCheckItem", *writes},
        "betting_on_insight_received": {"UpdateItem"},
        "betting_on_settlement_requested": {"GetItem", "BatchGetItem", "Query", *writes},
        "betting_on_commit": {"BatchGetItem"},
    }


def test_every_function_and_every_queue_that_should_be_empty_has_an_alarm(production: Synthesised) -> None:
    alarms = [alarm["Properties"] for alarm in production.resources("AWS::CloudWatch::Alarm").values()]
    metrics = Counter(alarm["MetricName"] for alarm in alarms)

    assert metrics["Errors"] == len(FUNCTIONS)
    assert metrics["ApproximateNumberOfMessagesVisible"] == 15  # ten of the dead, five last resorts
    assert metrics["ApproximateAgeOfOldestMessage"] == 10
    assert all(alarm["AlarmActions"] for alarm in alarms)


def _feeds(production: Synthesised) -> list[dict[str, Any]]:
    feeds = production.service_template.find_resources("AWS::Lambda::EventSourceMapping").values()
    return [feed["Properties"] for feed in feeds]


def _function_of(production: Synthesised, feed: dict[str, Any]) -> str:
    functions = production.service_template.find_resources("AWS::Lambda::Function")
    return str(functions[feed["FunctionName"]["Ref"]]["Properties"]["Handler"].split(".")[1])


def _asset(production: Synthesised, function: dict[str, Any]) -> Path:
    key = str(function["Properties"]["Code"]["S3Key"])
    return production.directory / f"asset.{key.removesuffix('.zip')}"


def _methods(production: Synthesised) -> list[tuple[str, str, str]]:
    template = production.service_template
    resources = template.find_resources("AWS::ApiGateway::Resource")

    def path(reference: dict[str, Any]) -> str:
        if "Ref" not in reference:
            return ""
        resource = resources[reference["Ref"]]["Properties"]
        return f"{path(resource['ParentId'])}/{resource['PathPart']}"

    methods = [method["Properties"] for method in template.find_resources("AWS::ApiGateway::Method").values()]
    return [(each["HttpMethod"], path(each["ResourceId"]), each["AuthorizationType"]) for each in methods]
