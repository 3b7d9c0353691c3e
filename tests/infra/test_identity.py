"""Both ways of knowing who calls."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aws_cdk.assertions import Match

from infra.config import LOCAL, LOCALSTACK, SCOPES, Config, Issuer, host, load
from tests.infra.conftest import PRODUCTION_HERE, Synthesised, flat

Synthesise = Callable[[Config], Synthesised]
VERIFIERS = (
    "analytics_api",
    "authorizer",
    "balancing_api",
    "betting_api",
    "betting_rpc",
    "market_api",
    "notifications_api",
    "portfolios_api",
)


def test_cognito_gets_a_pool_our_scopes_and_a_machine_client_a_tenant(production: Synthesised) -> None:
    template = production.service_template
    template.has_resource_properties(
        "AWS::Cognito::UserPool",
        {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}, "MfaConfiguration": "ON"},
    )
    template.has_resource_properties(
        "AWS::Cognito::UserPoolResourceServer",
        {"Identifier": "trimtab", "Scopes": [Match.object_like({"ScopeName": scope}) for scope in SCOPES]},
    )
    template.has_resource_properties(
        "AWS::Cognito::UserPoolClient",
        {"AllowedOAuthFlows": ["client_credentials"], "GenerateSecret": True, "AllowedOAuthScopes": Match.any_value()},
    )


def test_cognitos_tokens_are_bound_to_its_clients_and_carry_the_prefix_of_its_scopes(production: Synthesised) -> None:
    settings = _auth(production)

    assert len(settings) == len(VERIFIERS)
    for each in settings:
        assert each["scope_prefix"] == "trimtab/"
        assert "audience" not in each
        assert each["jwks_url"] == f"{each['issuer']}/.well-known/jwks.json"
        assert each["client_tenants"] == {each["client_ids"][0]: "demo"}


def test_an_issuer_that_exists_is_taken_as_it_is_configured(synthesised: Synthesise) -> None:
    issuer = Issuer(issuer="https://login.example.com", audience="trimtab", jwks_url="https://login.example.com/keys")
    stacks = synthesised(replace(PRODUCTION_HERE, env="oidc", identity=issuer))

    stacks.service_template.resource_count_is("AWS::Cognito::UserPool", 0)
    assert [each["jwks_url"] for each in _auth(stacks)] == ["https://login.example.com/keys"] * len(VERIFIERS)


def test_keys_in_a_parameter_may_be_read_by_those_who_verify(synthesised: Synthesise) -> None:
    template = synthesised(LOCAL).service_template
    policies = json.dumps(template.find_resources("AWS::IAM::Policy"))

    assert policies.count("ssm:GetParameter") == len(VERIFIERS)
    assert ":parameter/trimtab/local/jwks" in policies


def test_localstack_has_no_authorizer_and_no_layers(synthesised: Synthesise) -> None:
    template = synthesised(replace(LOCALSTACK, target=host())).service_template

    template.resource_count_is("AWS::ApiGateway::Authorizer", 0)
    template.resource_count_is("AWS::Lambda::LayerVersion", 0)


def test_an_issuer_without_keys_or_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Issuer(issuer="https://login.example.com", audience="trimtab")
    with pytest.raises(ValueError, match="any of its tokens"):
        Issuer(issuer="https://login.example.com", jwks_url="https://login.example.com/keys")


def test_an_unknown_environment_or_target_names_those_that_exist() -> None:
    with pytest.raises(ValueError, match="local, localstack, dev, prod"):
        load("production")
    with pytest.raises(ValueError, match="host, container, lambda"):
        load("local", "windows")


def _auth(stacks: Synthesised) -> list[Any]:
    functions = stacks.service_template.find_resources("AWS::Lambda::Function").values()
    variables = [function["Properties"]["Environment"]["Variables"] for function in functions]
    return [json.loads(flat(each["AUTH"])) for each in variables if "AUTH" in each]
