"""Each broker, as a deployment is configured for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cdk_nag import AwsSolutionsChecks

from infra.balancing import scenario_text
from infra.config import ROOT, Alpaca, Config, Paper
from tests.infra.conftest import PRODUCTION_HERE, Synthesised, flat, functions_of, statements_of
from trimtab.portfolios.execution.brokers import BrokerSettings
from trimtab.portfolios.execution.paper_scenario import ScenarioError, parse_scenario

Synthesise = Callable[[Config], Synthesised]
TRADERS = ("balancing_api", "execution_on_execution_requested")
SCENARIOS = sorted((ROOT / "infra/local/scenarios").glob("*.json"))


@pytest.fixture
def alpaca(synthesised: Synthesise) -> Synthesised:
    """Production that trades at Alpaca."""
    return synthesised(replace(PRODUCTION_HERE, env="alpaca", broker=Alpaca("trimtab/alpaca")))


def test_the_paper_broker_is_the_default_and_only_the_key_of_links_may_be_read(production: Synthesised) -> None:
    for variables in _variables(production):
        assert (variables["BROKER"], variables["PAPER_SCENARIO"]) == ("paper", "[]")
    readers = [
        name
        for name, function in functions_of(production).items()
        if "secretsmanager" in json.dumps(statements_of(production, function))
    ]
    assert readers == ["analytics_api"]


def test_alpacas_keys_may_be_read_by_those_who_trade(alpaca: Synthesised) -> None:
    statements = [
        statement
        for policy in alpaca.resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "secretsmanager:GetSecretValue" and "LinksKey" not in json.dumps(statement)
    ]

    assert len(statements) == len(TRADERS)
    assert all(flat(each["Resource"]).endswith(":secret:trimtab/alpaca-??????") for each in statements)
    assert not AwsSolutionsChecks(alpaca.app).validate_scope(alpaca.service).violations


def test_the_variables_are_settings_of_the_functions(production: Synthesised, alpaca: Synthesised) -> None:
    for variables in (*_variables(production), *_variables(alpaca)):
        given = {name.lower(): str(value) for name, value in variables.items()}
        settings = BrokerSettings.model_validate(
            {name: value for name, value in given.items() if name in BrokerSettings.model_fields}
        )
        assert settings.alpaca_secret_id == ("trimtab/alpaca" if settings.broker == "alpaca" else "")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_keeps_its_meaning_as_a_variable(path: Path) -> None:
    assert parse_scenario(scenario_text(str(path.relative_to(ROOT)))) == parse_scenario(path.read_text())


def test_a_bad_scenario_fails_the_synthesis_and_not_the_function(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('[{"refuse": "no", "fee": 1}]')

    with pytest.raises(ScenarioError, match="rule 1"):
        scenario_text(str(bad))


def test_without_a_scenario_nothing_goes_wrong() -> None:
    assert scenario_text(Paper().scenario) == "[]"


def test_a_run_may_take_a_day_at_most() -> None:
    with pytest.raises(ValueError, match="run_seconds"):
        replace(PRODUCTION_HERE, run_seconds=86_401)


def _variables(stacks: Synthesised) -> list[dict[str, Any]]:
    functions = stacks.service_template.find_resources("AWS::Lambda::Function").values()
    by_name = {each["Properties"]["Handler"].split(".")[1]: each["Properties"] for each in functions}
    return [by_name[name]["Environment"]["Variables"] for name in TRADERS]
