"""Authentication of callers: an existing OIDC issuer, or a Cognito user pool in the retained stack.

Both end in one setting of the functions, the JSON document `AUTH`.
"""

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.config import Config
from infra.constructs.context import removal_policy
from infra.constructs.function import LambdaFunction, account_and_region
from infra.constructs.policies import acknowledge
from infra.settings import SCOPES, CognitoPool, OidcIssuer


class Identity(Construct):
    """The settings of the token verifier. `auth` is the JSON of the environment variable `AUTH` of the functions."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self._parameter: str | None = None
        if isinstance(config.identity, CognitoPool):
            self._settings = _pool_settings(self, config, config.identity)
        else:
            self._settings = _issuer_settings(config.identity)
            self._parameter = config.identity.jwks_parameter
        platform = {"platform_tenants": list(config.platform_tenants)}
        self.auth: str = Stack.of(self).to_json_string({**self._settings, **platform})

    def allow_verifying(self, function: LambdaFunction) -> None:
        """Grant reading the keys of the issuer, if an SSM parameter holds the keys."""
        if self._parameter:
            name = self._parameter.lstrip("/")
            arn = f"arn:{Aws.PARTITION}:ssm:{account_and_region(function)}:parameter/{name}"
            function.allow(["ssm:GetParameter"], [arn])


def _auth(
    *,
    issuer: str,
    audience: str | None,
    client_ids: list[str],
    jwks_url: str | None,
    jwks_parameter: str | None,
    scope_prefix: str,
    client_tenants: dict[str, str],
    claims: dict[str, str] | None = None,
) -> dict[str, object]:
    return {
        "issuer": issuer,
        "audience": audience,
        "client_ids": client_ids,
        "jwks_url": jwks_url,
        "jwks_parameter": jwks_parameter,
        "scope_prefix": scope_prefix,
        "claims": claims or {},
        "client_tenants": client_tenants,
    }


def _issuer_settings(identity: OidcIssuer) -> dict[str, object]:
    return _auth(
        issuer=identity.issuer,
        audience=identity.audience,
        client_ids=list(identity.client_ids),
        jwks_url=identity.jwks_url,
        jwks_parameter=identity.jwks_parameter,
        scope_prefix=identity.scope_prefix,
        client_tenants=dict(identity.client_tenants),
        claims={"tenant": identity.tenant_claim, "user": identity.user_claim, "scope": identity.scope_claim},
    )


def _pool_settings(scope: Construct, config: Config, identity: CognitoPool) -> dict[str, object]:
    """Make a user pool with its clients, and return the settings of the verifier.

    Access tokens of Cognito have no `aud`; the verifier checks the client id instead. Only tokens of people have a
    `username`.
    """
    pool = _pool(scope, config, identity)
    server, scopes = _resource_server(pool, identity)
    tenants: dict[str, str] = {}
    for tenant, names in identity.machine_scopes.items():
        client = _machine_client(pool, tenant, _of_server(server, scopes, names))
        CfnOutput(Stack.of(scope), f"Client{tenant.title()}", value=client, description=f"Machine client of {tenant}")
        tenants[client] = tenant
    if identity.people_tenant:
        client = _people_client(pool, identity, _of_server(server, scopes, identity.people_scopes))
        CfnOutput(Stack.of(scope), "PeopleClient", value=client, description="The client with which end users sign in")
        tenants[client] = identity.people_tenant
    return _auth(
        issuer=pool.user_pool_provider_url,
        audience=None,
        client_ids=list(tenants),
        jwks_url=f"{pool.user_pool_provider_url}/.well-known/jwks.json",
        jwks_parameter=None,
        scope_prefix=f"{identity.scope_prefix}/",
        client_tenants=tenants,
        claims={"user": "username"},
    )


def _pool(scope: Construct, config: Config, identity: CognitoPool) -> cognito.UserPool:
    pool = cognito.UserPool(
        scope,
        "Pool",
        self_sign_up_enabled=identity.self_sign_up,
        sign_in_aliases=cognito.SignInAliases(email=True),
        password_policy=cognito.PasswordPolicy(
            min_length=12, require_digits=True, require_lowercase=True, require_uppercase=True, require_symbols=True
        ),
        mfa=cognito.Mfa.REQUIRED,
        mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
        account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
        deletion_protection=config.stateful_protection,
        removal_policy=removal_policy(config),
    )
    domain = cognito.CognitoDomainOptions(domain_prefix=f"{config.prefix}-{Aws.ACCOUNT_ID}")
    CfnOutput(Stack.of(scope), "UserPoolId", value=pool.user_pool_id)
    CfnOutput(
        Stack.of(scope), "TokenUrl", value=f"{pool.add_domain('Domain', cognito_domain=domain).base_url()}/oauth2/token"
    )
    reason = "The Plus plan adds threat protection for people at a price for each person; MFA is required of everyone."
    acknowledge(pool, "AwsSolutions-COG3", reason)
    acknowledge(pool, "AwsSolutions-COG8", reason)
    return pool


def _resource_server(
    pool: cognito.UserPool, identity: CognitoPool
) -> tuple[cognito.UserPoolResourceServer, dict[str, cognito.ResourceServerScope]]:
    scopes = {name: cognito.ResourceServerScope(scope_name=name, scope_description=name) for name in SCOPES}
    server = pool.add_resource_server("Scopes", identifier=identity.scope_prefix, scopes=list(scopes.values()))
    return server, scopes


def _of_server(
    server: cognito.UserPoolResourceServer, scopes: Mapping[str, cognito.ResourceServerScope], names: Sequence[str]
) -> list[cognito.OAuthScope]:
    return [cognito.OAuthScope.resource_server(server, scopes[name]) for name in names]


def _machine_client(pool: cognito.UserPool, tenant: str, scopes: list[cognito.OAuthScope]) -> str:
    client = pool.add_client(
        f"Machine-{tenant}",
        generate_secret=True,
        access_token_validity=Duration.hours(1),
        o_auth=cognito.OAuthSettings(flows=cognito.OAuthFlows(client_credentials=True), scopes=scopes),
    )
    return client.user_pool_client_id


def _people_client(pool: cognito.UserPool, identity: CognitoPool, scopes: list[cognito.OAuthScope]) -> str:
    """Make a public client: the authorization code flow, with PKCE and without a secret."""
    client = pool.add_client(
        "People",
        access_token_validity=Duration.hours(1),
        prevent_user_existence_errors=True,
        auth_flows=cognito.AuthFlow(user_srp=True),
        o_auth=cognito.OAuthSettings(
            flows=cognito.OAuthFlows(authorization_code_grant=True),
            callback_urls=list(identity.callback_urls),
            scopes=[cognito.OAuthScope.OPENID, *scopes],
        ),
    )
    return client.user_pool_client_id
