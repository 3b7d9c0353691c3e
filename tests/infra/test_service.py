"""The service stack of production: functions, API and event sources."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match

from infra.config import ROOT, Config
from infra.constructs.gateway_responses import GATEWAY_PROBLEMS, cors_headers
from infra.constructs.routes import routes_of
from infra.settings import host
from tests.infra.conftest import (
    DRIFT_PROVIDER,
    INSIGHT_PROVIDER,
    LOCALSTACK,
    PRODUCTION,
    QUOTE_PROVIDER,
    Synthesised,
    flat,
    functions_of,
    statements_of,
    strings,
    variables_of,
)
from trimtab.runtime.sqs.worker import REDRIVER

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
REPORTS = "analytics_on_report_requested"
WATCH_FUNCTIONS = ("market_on_quote_received", "balancing_on_check_requested")
OPEN_PATHS = {route.path for route in routes_of("platform_api") if route.is_open} | {"/links/{token}"}


def test_every_handler_in_the_repository_is_a_deployed_function(production: Synthesised) -> None:
    assert sorted(functions_of(production)) == FUNCTIONS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_asset_of_a_function_holds_its_handler_and_no_other(production: Synthesised, name: str) -> None:
    asset = _asset(production, functions_of(production)[name])
    packages = {path.parent.name for path in asset.rglob("handler.py")}

    assert packages == {name}
    assert (asset / "functions" / "__init__.py").exists()
    assert sorted(path.name for path in asset.iterdir()) in (["functions"], ["__pycache__", "functions"])


def test_every_function_has_a_role_of_its_own_a_log_group_that_expires_and_its_layers(production: Synthesised) -> None:
    functions = {name: function["Properties"] for name, function in functions_of(production).items()}
    layers = {name: len(properties["Layers"]) for name, properties in functions.items()}
    roles = Counter(json.dumps(properties["Role"]) for properties in functions.values())

    assert set(roles.values()) == {1}
    assert layers == {name: 3 if name in {"betting_rpc", REPORTS} else 2 for name in FUNCTIONS}
    assert all("LogGroup" in properties["LoggingConfig"] for properties in functions.values())
    groups = production.resources("AWS::Logs::LogGroup").values()
    assert len(groups) == len(FUNCTIONS) + 1  # and that of the gateway
    assert all(group["Properties"]["RetentionInDays"] == 90 for group in groups)


def test_no_policy_of_a_function_grants_a_wildcard_but_listing_streams_and_reading_metrics(
    production: Synthesised,
) -> None:
    statements = [
        statement
        for policy in production.service_template.find_resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    broad = [statement for statement in statements if "*" in strings(statement["Resource"])]

    actions = ["cloudwatch:GetMetricData", *["dynamodb:ListStreams"] * 3]  # one per reader of streams
    assert sorted(statement["Action"] for statement in broad) == actions
    assert not [statement for statement in statements if any("*" in action for action in strings(statement["Action"]))]


@pytest.mark.parametrize(
    ("table", "contexts"), [("Market", {"market"}), ("Betting", {"betting", "compat"}), ("Webhooks", {"webhooks"})]
)
def test_a_table_is_written_by_the_functions_of_its_context_only(
    production: Synthesised, table: str, contexts: set[str]
) -> None:
    writes = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}
    writers = {name for name, actions in _granted_actions(production, table).items() if actions & writes}

    assert {name.split("_")[0] for name in writers} == contexts


def test_the_methods_of_the_gateway_are_the_routes_of_the_resolvers(production: Synthesised) -> None:
    packages = [name for name in FUNCTIONS if name.endswith(("_api", "_rpc"))]
    declared = {(route.method, route.path) for name in packages for route in routes_of(name)}

    assert ("POST", "/trimtab.betting.v1.OrderService/{method}") in declared
    assert {(method, path) for method, path, _ in _methods(production) if method != "ANY"} == declared


def test_every_method_except_the_open_ones_needs_the_authorizer(production: Synthesised) -> None:
    routes = [(path, kind) for method, path, kind in _methods(production) if method != "ANY"]

    assert {path for path, kind in routes if kind == "NONE"} == OPEN_PATHS
    assert {kind for path, kind in routes if path not in OPEN_PATHS} == {"CUSTOM"}


def test_a_function_of_each_resource_gets_the_methods_without_a_route_and_without_a_token(
    production: Synthesised,
) -> None:
    methods = _methods(production)

    others = [(path, kind) for method, path, kind in methods if method == "ANY"]

    assert sorted(others) == sorted({(path, "NONE") for method, path, _ in methods})


def test_web_pages_may_read_the_responses_of_the_gateway_where_origins_are_allowed(
    production: Synthesised, synthesised: Callable[[Config], Synthesised]
) -> None:
    origins = ("https://app.example.com", "https://admin.example.com")
    pages = synthesised(replace(PRODUCTION, env="pages", target=host(), allowed_origins=origins))
    name = "gatewayresponse.header.Access-Control-Allow-Origin"

    responses = [
        [
            each["Properties"]["ResponseParameters"].get(name)
            for each in stacks.resources("AWS::ApiGateway::GatewayResponse").values()
        ]
        for stacks in (production, pages)
    ]
    settings = [
        function["Properties"]["Environment"]["Variables"].get("ALLOWED_ORIGINS")
        for function in pages.service_template.find_resources("AWS::Lambda::Function").values()
    ]

    assert responses == [[None] * len(GATEWAY_PROBLEMS), ["'*'"] * len(GATEWAY_PROBLEMS)]
    assert cors_headers(origins[:1])["Access-Control-Allow-Origin"] == origins[0]
    assert settings.count(",".join(origins)) == 9, "seven APIs, the RPCs and the platform"


@pytest.mark.parametrize("origin", ["app.example.com", "https://app.example.com/", "https://*.example.com", "null"])
def test_an_allowed_origin_is_a_scheme_with_a_host(origin: str) -> None:
    with pytest.raises(ValueError, match="allowed_origins"):
        replace(PRODUCTION, allowed_origins=(origin,))


def test_the_stage_deploys_after_all_methods_and_gateway_responses(production: Synthesised) -> None:
    (deployment,) = production.service_template.find_resources("AWS::ApiGateway::Deployment").values()
    before = {
        *production.service_template.find_resources("AWS::ApiGateway::Method"),
        *production.service_template.find_resources("AWS::ApiGateway::GatewayResponse"),
    }

    assert before <= set(deployment["DependsOn"])


def test_routes_with_another_authorizer_make_another_deployment(
    production: Synthesised, synthesised: Callable[[Config], Synthesised]
) -> None:
    without_authorizer = synthesised(replace(LOCALSTACK, target=host()))
    deployments = [
        deployment
        for stacks in (production, without_authorizer)
        for deployment in stacks.service_template.find_resources("AWS::ApiGateway::Deployment")
    ]

    assert len(set(deployments)) == 2, "API Gateway would go on serving the routes of the deployment before"


def test_responses_of_the_gateway_are_problem_documents(production: Synthesised) -> None:
    responses = production.service_template.find_resources("AWS::ApiGateway::GatewayResponse").values()

    assert len(responses) == len(GATEWAY_PROBLEMS)
    for response in responses:
        properties = response["Properties"]
        assert properties["ResponseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        template = properties["ResponseTemplates"]["application/json"]
        body = json.loads(template.replace("$context.error.messageString", '"reason"'))
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
    assert "$context.path" not in logged, "the path of a link contains the token"


def test_every_queue_worker_reports_single_messages_and_has_limited_concurrency(production: Synthesised) -> None:
    batches = {}
    for source in _event_sources(production):
        if "ScalingConfig" in source:
            assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            limits = (source["BatchSize"], source["ScalingConfig"]["MaximumConcurrency"])
            batches[_function_of(production, source)] = limits

    assert batches == {
        "betting_on_insight_received": (10, 20),
        "betting_on_settlement_requested": (5, 10),
        "analytics_on_portfolio_changed": (1000, 2),
        "analytics_on_report_requested": (1, 20),
        "analytics_on_valuation_requested": (10, 20),
        "notifications_on_alert": (10, 20),
        "notifications_on_mail_reported": (10, 20),
        "notifications_on_operator_alert": (10, 20),
        "notifications_on_alert_published": (1, 20),
        "webhooks_on_event": (100, 2),
        "webhooks_on_delivery_requested": (1, 20),
        "webhooks_on_push_requested": (1, 20),
        "market_on_quote_received": (10, 20),
        "balancing_on_check_requested": (10, 20),
        "execution_on_execution_requested": (1, 10),
        "rebalancing_on_rebalance_requested": (10, 20),
        "ledger_on_recalculation_requested": (1, 5),
    }


def test_a_stream_reader_bisects_gives_up_and_leaves_failed_records_in_a_queue(production: Synthesised) -> None:
    sources = [source for source in _event_sources(production) if "StartingPosition" in source]
    patterns: dict[str, list[Any]] = {}
    for source in sources:
        filters = [json.loads(criterion["Pattern"]) for criterion in source["FilterCriteria"]["Filters"]]
        patterns.setdefault(_function_of(production, source), []).extend(filters)

    exists = {"S": [{"exists": True}]}
    may_need_settling = {"sk": {"S": ["ORDER", "MARKET"]}, "status": {"S": ["OPEN", "CLOSED"]}}
    assert patterns == {
        "betting_on_commit": [{"dynamodb": {"NewImage": may_need_settling}}],
        "events_on_commit": [{"dynamodb": {"NewImage": {"events": exists}}}] * 6,  # one per table with events
        "balancing_on_commit": [{"dynamodb": {"NewImage": {"sk": {"S": ["PORTFOLIO"]}, "evaluation_due": exists}}}],
    }
    for source in sources:
        assert source["BisectBatchOnFunctionError"]
        assert (source["MaximumRetryAttempts"], source["MaximumRecordAgeInSeconds"]) == (10, 12 * 3600)
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["DestinationConfig"]["OnFailure"]["Destination"]


def test_a_lease_outlives_the_worker_that_holds_the_lease_by_thirty_seconds(production: Synthesised) -> None:
    worker = functions_of(production)["execution_on_execution_requested"]["Properties"]

    assert int(worker["Environment"]["Variables"]["LEASE_SECONDS"]) == worker["Timeout"] + 30


def test_readers_and_writers_of_watches_use_the_same_number_of_shards(production: Synthesised) -> None:
    assert [variables_of(production, name)["WATCH_SHARDS"] for name in WATCH_FUNCTIONS] == ["4", "4"]


def test_the_sweeper_runs_every_five_minutes_and_its_failures_are_kept(production: Synthesised) -> None:
    production.service_template.has_resource_properties("AWS::Events::Rule", {"ScheduleExpression": "rate(5 minutes)"})
    production.service_template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig", {"DestinationConfig": {"OnFailure": {"Destination": Match.any_value()}}}
    )


def test_the_worker_accepts_own_roles_for_every_tenant_and_a_provider_for_its_tenants(production: Synthesised) -> None:
    text = flat(variables_of(production, "rebalancing_on_rebalance_requested")["SENDER_TENANTS"])
    senders = json.loads(text)

    providers = (DRIFT_PROVIDER, QUOTE_PROVIDER, INSIGHT_PROVIDER)
    assert [senders.pop(provider.sender_id) for provider in providers] == [["acme"]] * 3
    assert sorted(senders.values()) == [["*"]] * 3 + [[REDRIVER]]
    assert all("RoleId" in sender for sender in senders)


def test_a_provider_of_insights_speaks_for_its_own_tenants_only(production: Synthesised) -> None:
    text = flat(variables_of(production, "betting_on_insight_received")["SENDER_TENANTS"])

    senders = json.loads(text)
    assert senders.pop(INSIGHT_PROVIDER.sender_id) == ["acme"]
    assert list(senders.values()) == [[REDRIVER]]


def test_both_stacks_have_room_below_the_500_resources_that_cloudformation_allows(production: Synthesised) -> None:
    for template in (production.retained_template, production.service_template):
        assert len(template.to_json()["Resources"]) <= 480


def _granted_actions(production: Synthesised, table: str) -> dict[str, set[str]]:
    """Return the DynamoDB actions that each function may perform on a table, by function."""
    granted: dict[str, set[str]] = {}
    for name, function in functions_of(production).items():
        for statement in statements_of(production, function):
            if table in production.names_in(statement["Resource"]):
                actions = {action.removeprefix("dynamodb:") for action in strings(statement["Action"])}
                granted.setdefault(name, set()).update(actions)
    return granted


def _event_sources(production: Synthesised) -> list[dict[str, Any]]:
    sources = production.service_template.find_resources("AWS::Lambda::EventSourceMapping").values()
    return [source["Properties"] for source in sources]


def _function_of(production: Synthesised, source: dict[str, Any]) -> str:
    functions = production.service_template.find_resources("AWS::Lambda::Function")
    return str(functions[source["FunctionName"]["Ref"]]["Properties"]["Handler"].split(".")[1])


def _asset(production: Synthesised, function: dict[str, Any]) -> Path:
    key = str(function["Properties"]["Code"]["S3Key"])
    return production.directory / f"asset.{key.removesuffix('.zip')}"


def _methods(production: Synthesised) -> list[tuple[str, str, str]]:
    """Return the HTTP method, the path and the type of authorization of each method of the API."""
    template = production.service_template
    resources = template.find_resources("AWS::ApiGateway::Resource")

    def path(reference: dict[str, Any]) -> str:
        if "Ref" not in reference:
            return ""
        resource = resources[reference["Ref"]]["Properties"]
        return f"{path(resource['ParentId'])}/{resource['PathPart']}"

    methods = [method["Properties"] for method in template.find_resources("AWS::ApiGateway::Method").values()]
    return [(method["HttpMethod"], path(method["ResourceId"]), method["AuthorizationType"]) for method in methods]
