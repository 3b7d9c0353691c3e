"""Both brokers, as a deployment is configured for them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cdk_nag import AwsSolutionsChecks

from infra.config import ROOT
from infra.contexts.execution import scenario_text
from infra.settings import Paper
from tests.infra.conftest import PRODUCTION_HERE, Synthesised, flat, functions_of, statements_of, variables_of
from trimtab.portfolios.execution.brokers import BrokerSettings
from trimtab.portfolios.execution.paper_scenario import ScenarioError, parse_scenario

TRADERS = ("balancing_api", "execution_on_execution_requested")
SCENARIOS = sorted((ROOT / "infra/local/scenarios").glob("*.json"))


def test_the_paper_broker_is_the_default_and_only_signers_and_senders_of_alerts_read_a_secret(
    production: Synthesised,
) -> None:
    for variables in _variables(production):
        assert (variables["BROKER"], variables["PAPER_SCENARIO"]) == ("paper", "[]")
    readers = {
        name
        for name, function in functions_of(production).items()
        if "secretsmanager" in json.dumps(statements_of(production, function))
    }
    lists = {"betting_api", "betting_rpc", "market_api", "portfolios_api", "webhooks_api"}
    assert readers == {"analytics_api", "notifications_on_alert_published", *lists}


def test_only_functions_that_use_the_broker_may_read_the_keys_of_alpaca(alpaca: Synthesised) -> None:
    statements = [
        statement
        for policy in alpaca.resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "secretsmanager:GetSecretValue" and "trimtab/alpaca" in json.dumps(statement)
    ]

    assert len(statements) == len(TRADERS)
    assert all(flat(statement["Resource"]).endswith(":secret:trimtab/alpaca-??????") for statement in statements)
    assert not AwsSolutionsChecks(alpaca.app).validate_scope(alpaca.service).violations


def test_the_environment_variables_are_settings_of_the_functions(production: Synthesised, alpaca: Synthesised) -> None:
    for variables in (*_variables(production), *_variables(alpaca)):
        texts = {name.lower(): str(value) for name, value in variables.items()}
        settings = BrokerSettings.model_validate(
            {name: text for name, text in texts.items() if name in BrokerSettings.model_fields}
        )
        assert settings.alpaca_secret_id == ("trimtab/alpaca" if settings.broker == "alpaca" else "")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_keeps_its_meaning_as_an_environment_variable(path: Path) -> None:
    assert parse_scenario(scenario_text(str(path.relative_to(ROOT)))) == parse_scenario(path.read_text())


def test_an_invalid_scenario_fails_the_synthesis(tmp_path: Path) -> None:
    invalid = tmp_path / "invalid.json"
    invalid.write_text('[{"refuse": "no", "fee": 1}]')

    with pytest.raises(ScenarioError, match="rule 1"):
        scenario_text(str(invalid))


def test_without_a_scenario_every_order_fills() -> None:
    assert scenario_text(Paper().scenario) == "[]"


def test_a_rebalance_may_take_a_day_at_most() -> None:
    with pytest.raises(ValueError, match="run_seconds"):
        replace(PRODUCTION_HERE, run_seconds=86_401)


def _variables(stacks: Synthesised) -> list[dict[str, Any]]:
    return [variables_of(stacks, package) for package in TRADERS]
