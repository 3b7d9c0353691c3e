"""Authentication of callers: a Cognito user pool, or an existing OIDC issuer."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aws_cdk.assertions import Match

from infra.config import Config
from infra.environments import load
from infra.settings import MACHINE_SCOPES, PEOPLE_SCOPES, SCOPES, CognitoPool, OidcIssuer, host
from tests.infra.conftest import LOCAL, LOCALSTACK, PRODUCTION_HERE, Synthesised, flat, functions_of

Synthesise = Callable[[Config], Synthesised]
VERIFIERS = (
    "analytics_api",
    "authorizer",
    "balancing_api",
    "betting_api",
    "betting_rpc",
    "compat_api",
    "market_api",
    "notifications_api",
    "platform_api",
    "portfolios_api",
    "webhooks_api",
    "webhooks_on_connection",
)


def test_cognito_gets_a_user_pool_the_scopes_and_a_machine_client_per_tenant(production: Synthesised) -> None:
    template = production.retained_template
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
        {"AllowedOAuthFlows": ["client_credentials"], "GenerateSecret": True},
    )
    assert _scopes_of_clients(production) == {"client_credentials": {*MACHINE_SCOPES}}
    assert "operator" not in MACHINE_SCOPES


def test_tokens_of_cognito_are_bound_to_its_clients_and_carry_the_prefix_of_its_scopes(
    production: Synthesised,
) -> None:
    documents = _auth_documents(production)

    assert len(documents) == len(VERIFIERS)
    for document in documents:
        assert document["scope_prefix"] == "trimtab/"
        assert "audience" not in document
        assert document["jwks_url"] == f"{document['issuer']}/.well-known/jwks.json"
        assert document["client_tenants"] == {document["client_ids"][0]: "demo"}
        assert document["claims"] == {"user": "username"}


def test_end_users_sign_themselves_up_where_the_settings_allow(synthesised: Synthesise) -> None:
    pool = CognitoPool(
        machine_scopes={"acme": ("portfolios:read", "operator")},
        people_tenant="acme",
        callback_urls=("https://app.example.com/",),
        self_sign_up=True,
    )
    stacks = synthesised(replace(PRODUCTION_HERE, env="people", identity=pool))

    stacks.retained_template.has_resource_properties(
        "AWS::Cognito::UserPool",
        {
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False},
            "AutoVerifiedAttributes": ["email"],
            "MfaConfiguration": "ON",
            "UsernameAttributes": ["email"],  # Cognito assigns the username, a UUID
        },
    )
    stacks.retained_template.has_resource_properties(
        "AWS::Cognito::UserPoolClient",
        {
            "AllowedOAuthFlows": ["code"],
            "CallbackURLs": ["https://app.example.com/"],
            "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            "GenerateSecret": Match.absent(),
            "PreventUserExistenceErrors": "ENABLED",
            "SupportedIdentityProviders": ["COGNITO"],
        },
    )
    assert _scopes_of_clients(stacks) == {
        "client_credentials": {"portfolios:read", "operator"},
        "code": {"openid", *PEOPLE_SCOPES},
    }
    for document in _auth_documents(stacks):
        assert set(document["client_tenants"].values()) == {"acme"}
        assert set(document["client_ids"]) == set(document["client_tenants"])
        assert len(document["client_ids"]) == 2


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"machine_scopes": {"demo": ("portfolio:read",)}}, "unknown scopes: portfolio:read"),
        ({"people_scopes": ("operator",)}, "end users cannot have the scopes operator"),
        ({"people_tenant": "demo"}, "needs callback_urls"),
        ({"callback_urls": ("https://app.example.com/",)}, "need people_tenant"),
        ({"self_sign_up": True}, "needs people_tenant"),
    ],
)
def test_settings_of_a_pool_that_contradict_each_other_are_rejected(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CognitoPool(**members)


def test_an_existing_issuer_is_used_as_configured(synthesised: Synthesise) -> None:
    issuer = OidcIssuer(
        issuer="https://login.example.com",
        audience="trimtab",
        jwks_url="https://login.example.com/keys",
        tenant_claim="https://example.com/tenant",
        scope_claim="scp",
    )
    stacks = synthesised(replace(PRODUCTION_HERE, env="oidc", identity=issuer))

    assert not stacks.resources("AWS::Cognito::UserPool")
    documents = _auth_documents(stacks)
    assert len(documents) == len(VERIFIERS)
    for document in documents:
        assert document["jwks_url"] == "https://login.example.com/keys"
        assert document["claims"] == {"tenant": "https://example.com/tenant", "user": "user_id", "scope": "scp"}


def test_functions_that_verify_tokens_may_read_keys_in_a_parameter(synthesised: Synthesise) -> None:
    template = synthesised(LOCAL).service_template
    policies = json.dumps(template.find_resources("AWS::IAM::Policy"))

    assert policies.count("ssm:GetParameter") == len(VERIFIERS)
    assert ":parameter/trimtab/local/jwks" in policies


def test_localstack_has_no_authorizer_and_no_layers(synthesised: Synthesise) -> None:
    template = synthesised(replace(LOCALSTACK, target=host())).service_template

    template.resource_count_is("AWS::ApiGateway::Authorizer", 0)
    template.resource_count_is("AWS::Lambda::LayerVersion", 0)


def test_an_issuer_without_keys_or_without_audience_and_clients_is_rejected() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        OidcIssuer(issuer="https://login.example.com", audience="trimtab")
    with pytest.raises(ValueError, match="every token of the issuer"):
        OidcIssuer(issuer="https://login.example.com", jwks_url="https://login.example.com/keys")


def test_the_error_for_an_unknown_environment_or_target_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="dev, local, localstack, prod"):
        load("production")
    with pytest.raises(ValueError, match="host, container, lambda"):
        load("local", "windows")


def _scopes_of_clients(stacks: Synthesised) -> dict[str, set[str]]:
    """Return the scopes, without the prefix, of the clients by their OAuth flow."""
    clients = stacks.retained_template.find_resources("AWS::Cognito::UserPoolClient").values()
    return {
        client["Properties"]["AllowedOAuthFlows"][0]: {
            flat(scope).rpartition("/")[2] for scope in client["Properties"]["AllowedOAuthScopes"]
        }
        for client in clients
    }


def _auth_documents(stacks: Synthesised) -> list[Any]:
    """Return the environment variable AUTH of every token-verifying function."""
    functions = functions_of(stacks).values()
    variables = [function["Properties"]["Environment"]["Variables"] for function in functions]
    return [json.loads(flat(settings["AUTH"])) for settings in variables if "AUTH" in settings]
