"""Both providers of bars, as a deployment is configured for them, and the nightly ingestion."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aws_cdk.assertions import Match
from cdk_nag import AwsSolutionsChecks

from infra.config import Config
from infra.settings import MassiveBars
from tests.infra.conftest import PRODUCTION_HERE, Synthesised, flat, functions_of, statements_of, variables_of
from tests.support.system import payload
from trimtab.analytics.service.alert_evaluator import BARS_DUE_AFTER
from trimtab.market.adapters.providers import ProviderSettings

Synthesise = Callable[[Config], Synthesised]


@pytest.fixture
def massive(synthesised: Synthesise) -> Synthesised:
    """Production with bars from Massive."""
    return synthesised(replace(PRODUCTION_HERE, env="massive", bars=MassiveBars("trimtab/massive")))


def test_the_ingestion_starts_at_three_after_each_session_and_its_failures_are_kept(production: Synthesised) -> None:
    night = functions_of(production)["market_on_night"]["Properties"]
    production.service_template.has_resource_properties(
        "AWS::Events::Rule", {"ScheduleExpression": "cron(0 3 ? * TUE-SAT *)"}
    )
    production.service_template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig",
        {"DestinationConfig": {"OnFailure": {"Destination": Match.any_value()}}, "MaximumRetryAttempts": 2},
    )
    assert night["Timeout"] == 900


def test_every_portfolio_is_valued_when_bars_are_late(production: Synthesised) -> None:
    late = datetime(2026, 11, 20, tzinfo=UTC) + BARS_DUE_AFTER
    schedule = f"cron({late.minute + 5} {late.hour} ? * TUE-SAT *)"
    rules = production.service_template.find_resources("AWS::Events::Rule").values()
    (rule,) = (rule["Properties"] for rule in rules if rule["Properties"].get("ScheduleExpression") == schedule)
    (target,) = rule["Targets"]
    functions = production.service_template.find_resources("AWS::Lambda::Function")
    function = functions[target["Arn"]["Fn::GetAtt"][0]]

    assert function["Properties"]["Handler"].split(".")[1] == "analytics_on_night"
    assert json.loads(target["Input"]) == payload("analytics_on_night/bars_late.json")


def test_by_default_bars_are_files_and_only_files_below_the_prefix_may_be_read(production: Synthesised) -> None:
    statements = statements_of(production, functions_of(production)["market_on_night"])
    resources = {
        statement["Action"]: statement["Resource"]
        for statement in statements
        if "s3:" in json.dumps(statement["Action"])
    }

    assert set(resources) == {"s3:GetObject", "s3:ListBucket"}
    assert json.dumps(resources["s3:GetObject"]).endswith('"/daily/*"]]}')
    assert "secretsmanager" not in json.dumps(statements)
    assert not AwsSolutionsChecks(production.app).validate_scope(production.service).violations
    assert not AwsSolutionsChecks(production.app).validate_scope(production.retained).violations


def test_massive_needs_no_bucket_and_only_the_ingestion_may_read_the_key(massive: Synthesised) -> None:
    statements = statements_of(massive, functions_of(massive)["market_on_night"])
    (secret,) = (
        statement["Resource"] for statement in statements if statement["Action"] == "secretsmanager:GetSecretValue"
    )

    assert not massive.resources("AWS::S3::Bucket")
    assert flat(secret).endswith(":secret:trimtab/massive-??????")
    assert json.dumps(massive.resources("AWS::IAM::Policy")).count("trimtab/massive") == 1
    assert not AwsSolutionsChecks(massive.app).validate_scope(massive.service).violations


def test_the_environment_variables_are_settings_of_the_ingestion(production: Synthesised, massive: Synthesised) -> None:
    for stacks, provider in ((production, "file"), (massive, "massive")):
        assert _settings(stacks).bars_provider == provider
    assert _settings(massive).massive_secret_id == "trimtab/massive"
    assert _settings(massive).massive_calls_per_minute == 5


def _settings(stacks: Synthesised) -> ProviderSettings:
    variables = variables_of(stacks, "market_on_night")
    texts = {name.lower(): value if isinstance(value, str) else "s3://bars" for name, value in variables.items()}
    return ProviderSettings.model_validate(
        {name: text for name, text in texts.items() if name in ProviderSettings.model_fields}
    )
