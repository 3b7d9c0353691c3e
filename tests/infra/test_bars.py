"""Each source of bars, as a deployment is configured for it, and the night that takes them in."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_cdk.assertions import Match
from cdk_nag import AwsSolutionsChecks

from infra.config import Config, Massive
from tests.infra.conftest import PRODUCTION_HERE, Synthesised, flat, functions_of, statements_of
from tests.support.system import payload
from trimtab.analytics.service.alerting import BARS_ARE_LATE
from trimtab.market.adapters.providers import ProviderSettings

Synthesise = Callable[[Config], Synthesised]


@pytest.fixture
def massive(synthesised: Synthesise) -> Synthesised:
    """Production whose bars come from Massive."""
    return synthesised(replace(PRODUCTION_HERE, env="massive", bars=Massive("trimtab/massive")))


def test_the_night_begins_at_three_after_each_session_and_its_failures_are_kept(production: Synthesised) -> None:
    night = functions_of(production)["market_on_night"]["Properties"]
    production.service_template.has_resource_properties(
        "AWS::Events::Rule", {"ScheduleExpression": "cron(0 3 ? * TUE-SAT *)"}
    )
    production.service_template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig",
        {"DestinationConfig": {"OnFailure": {"Destination": Match.any_value()}}, "MaximumRetryAttempts": 2},
    )
    assert night["Timeout"] == 900


def test_when_bars_are_late_every_portfolio_is_valued(production: Synthesised) -> None:
    late = datetime(2026, 11, 20, tzinfo=UTC) + BARS_ARE_LATE
    schedule = f"cron({late.minute + 5} {late.hour} ? * TUE-SAT *)"
    rules = production.service_template.find_resources("AWS::Events::Rule").values()
    (rule,) = (it["Properties"] for it in rules if it["Properties"].get("ScheduleExpression") == schedule)
    (target,) = rule["Targets"]
    named = production.service_template.find_resources("AWS::Lambda::Function")[target["Arn"]["Fn::GetAtt"][0]]

    assert named["Properties"]["Handler"].split(".")[1] == "analytics_on_night"
    assert json.loads(target["Input"]) == payload("analytics_on_night/bars_late.json")


def test_files_are_the_default_and_only_those_of_the_prefix_may_be_read(production: Synthesised) -> None:
    statements = statements_of(production, functions_of(production)["market_on_night"])
    of_s3 = {each["Action"]: each["Resource"] for each in statements if "s3:" in json.dumps(each["Action"])}

    assert set(of_s3) == {"s3:GetObject", "s3:ListBucket"}
    assert json.dumps(of_s3["s3:GetObject"]).endswith('"/daily/*"]]}')
    assert "secretsmanager" not in json.dumps(statements)
    assert not AwsSolutionsChecks(production.app).validate_scope(production.service).violations
    assert not AwsSolutionsChecks(production.app).validate_scope(production.data).violations


def test_with_massive_there_is_no_bucket_and_its_key_is_read_by_the_night_alone(massive: Synthesised) -> None:
    statements = statements_of(massive, functions_of(massive)["market_on_night"])
    (secret,) = (each["Resource"] for each in statements if each["Action"] == "secretsmanager:GetSecretValue")

    assert not massive.resources("AWS::S3::Bucket")
    assert flat(secret).endswith(":secret:trimtab/massive-??????")
    assert json.dumps(massive.resources("AWS::IAM::Policy")).count("trimtab/massive") == 1
    assert not AwsSolutionsChecks(massive.app).validate_scope(massive.service).violations


def test_the_variables_are_settings_of_the_night(production: Synthesised, massive: Synthesised) -> None:
    for stacks, provider in ((production, "file"), (massive, "massive")):
        assert _settings(stacks).bars_provider == provider
    assert _settings(massive).massive_secret_id == "trimtab/massive"
    assert _settings(massive).massive_calls_per_minute == 5
    assert _settings(production).max_jump_percent == 40


def _settings(stacks: Synthesised) -> ProviderSettings:
    variables: dict[str, Any] = functions_of(stacks)["market_on_night"]["Properties"]["Environment"]["Variables"]
    given = {name.lower(): value if isinstance(value, str) else "s3://bars" for name, value in variables.items()}
    return ProviderSettings.model_validate(
        {name: value for name, value in given.items() if name in ProviderSettings.model_fields}
    )
