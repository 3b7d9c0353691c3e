"""The settings of every deployment, typed and frozen. `-c env=NAME` chooses an environment of `ENVIRONMENTS`.

A platform engineer edits `PRODUCTION`, or adds an environment: identity, providers, limits. No other module knows the
name of an environment. This module does not import the CDK, so the local tools load it quickly.
"""

import platform
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from trimtab.kernel.caller import PLATFORM_SCOPES

ROOT = Path(__file__).resolve().parents[1]
"""The root of the repository."""

SCOPES = (
    "portfolios:read",
    "portfolios:write",
    "trades:read",
    "trades:write",
    "betting:read",
    "betting:write",
    "analytics:read",
    "market:read",
    "market:write",
    "events:read",
    "webhooks:read",
    "webhooks:write",
    "operator",
)

MACHINE_SCOPES = tuple(name for name in SCOPES if name != "operator")
"""The scopes of a machine client by default."""

PEOPLE_SCOPES = tuple(name for name in SCOPES if name not in PLATFORM_SCOPES)
"""The scopes that a token of an end user may have."""

LOCAL_ISSUER = "https://issuer.trimtab.localhost"
LOCAL_AUDIENCE = "trimtab"
LOCAL_JWKS_PARAMETER = "/trimtab/local/jwks"


@dataclass(frozen=True)
class Target:
    """The Python version and the platform of bundled code, in the notation of uv; None is the local machine."""

    python_version: str
    platform: str | None


def host() -> Target:
    """Return the local interpreter, used by local clouds without containers."""
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", None)


def container() -> Target:
    """Return the Lambda image for the local processor, used by a LocalStack with Docker."""
    machine = "aarch64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    return Target("3.13", f"{machine}-manylinux_2_28")


def lambda_arm64() -> Target:
    """Return AWS Lambda on arm64, Amazon Linux 2023 (glibc newer than 2.28)."""
    return Target("3.13", "aarch64-manylinux_2_28")


TARGETS: dict[str, Callable[[], Target]] = {"host": host, "container": container, "lambda": lambda_arm64}


@dataclass(frozen=True)
class OidcIssuer:
    """An existing OIDC issuer. The signing keys come from `jwks_url` or from an SSM parameter, never both.

    `tenant_claim`, `user_claim` and `scope_claim` name the claims in which the issuer puts tenant, user and scopes.
    """

    issuer: str
    audience: str | None = None
    jwks_url: str | None = None
    jwks_parameter: str | None = None
    client_ids: tuple[str, ...] = ()
    scope_prefix: str = ""
    client_tenants: dict[str, str] = field(default_factory=dict)
    tenant_claim: str = "tenant_id"
    user_claim: str = "user_id"
    scope_claim: str = "scope"

    def __post_init__(self) -> None:
        if bool(self.jwks_url) == bool(self.jwks_parameter):
            raise ValueError("an OidcIssuer needs exactly one of jwks_url and jwks_parameter")
        if self.audience is None and not self.client_ids:
            raise ValueError(
                "an OidcIssuer needs an audience or client_ids; otherwise every token of the issuer would be accepted"
            )


@dataclass(frozen=True)
class CognitoPool:
    """A user pool in the retained stack, with machine clients (client credentials) and end users who sign in.

    The end users belong to one tenant, because a pool has no tenants of its own. An access token of an end user acts
    for the user whose id is the `username` that Cognito assigned, a UUID.
    """

    machine_scopes: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"demo": MACHINE_SCOPES})
    """The scopes of the machine client of each tenant; `operator` only where it is named."""
    people_tenant: str = ""
    """The tenant of the end users; empty where nobody signs in."""
    people_scopes: tuple[str, ...] = PEOPLE_SCOPES
    """The scopes of end users."""
    callback_urls: tuple[str, ...] = ()
    """The pages to which the sign-in returns: `https` addresses, or `http://localhost` for development."""
    self_sign_up: bool = False
    """End users may register themselves; otherwise an administrator creates them."""
    scope_prefix: str = "trimtab"

    def __post_init__(self) -> None:
        named = {name for scopes in self.machine_scopes.values() for name in scopes}
        if unknown := (named | set(self.people_scopes)) - set(SCOPES):
            raise ValueError(f"unknown scopes: {', '.join(sorted(unknown))}")
        if forbidden := set(self.people_scopes) - set(PEOPLE_SCOPES):
            raise ValueError(f"end users cannot have the scopes {', '.join(sorted(forbidden))}")
        if bool(self.people_tenant) != bool(self.callback_urls):
            raise ValueError("people_tenant needs callback_urls, and callback_urls need people_tenant")
        if self.self_sign_up and not self.people_tenant:
            raise ValueError("self_sign_up needs people_tenant")


@dataclass(frozen=True)
class Provider:
    """An external sender of drift reports on the public queue, and the tenants that the provider may speak for.

    `sender_id` is the unique id of the sending role (`aws iam get-role`, RoleId, `AROA…`) or user: SQS reports the id
    with each message, grants need the ARN. `quotes` allows sending quotes, which all tenants share. `insights` allows
    sending insights on the selections of the provider's tenants.
    """

    principal_arn: str
    sender_id: str
    tenants: tuple[str, ...]
    quotes: bool = False
    insights: bool = False


@dataclass(frozen=True)
class Paper:
    """The paper broker: orders fill at the stored quotes.

    `scenario` is the path of a file with faults to simulate, relative to the repository (examples:
    `infra/local/scenarios`). Without a scenario every order fills. With `sessions` orders are sent only in the sessions
    of the exchange, as with Alpaca.
    """

    scenario: str | None = None
    sessions: bool = False


@dataclass(frozen=True)
class Alpaca:
    """The broker Alpaca. The secret in Secrets Manager is created by hand, as JSON `{"key_id", "secret_key"}`.

    The base URL of the live market is `https://api.alpaca.markets`.
    """

    secret_name: str
    base_url: str = "https://paper-api.alpaca.markets"


@dataclass(frozen=True)
class Controls:
    """Pre-trade controls. A policy may set tighter limits of its own; 0 switches a control off.

    `price_collar`: largest distance of a limit price from the quote, in percent. `max_order_notional`: largest value of
    an order, in money. `max_daily_turnover`: what a portfolio buys and sells a day (UTC), in percent of its value.
    `max_runs_per_day`: rebalances of a portfolio a day. `max_tenant_notional`: planned orders of a tenant a day, in
    money. `max_messages_per_minute`: submissions and look-ups at the broker a minute.
    """

    price_collar: str = "10"
    max_order_notional: str = "1000000"
    max_daily_turnover: str = "400"
    max_runs_per_day: int = 0
    max_tenant_notional: str = "0"
    max_messages_per_minute: int = 0

    def settings(self) -> dict[str, str]:
        """Return the environment variables of a function that plans or executes orders."""
        return {name.upper(): str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class FileBars:
    """Daily bars as files, `2026-11-20.csv` or `.jsonl`, uploaded to the retained bucket below `prefix`.

    `decimal` is the decimal mark of the numbers in CSV files, `point` or `comma`, by default a point.
    """

    prefix: str = "daily"
    decimal: Literal["point", "comma"] | None = None


@dataclass(frozen=True)
class MassiveBars:
    """Daily bars from Massive (formerly Polygon).

    The secret in Secrets Manager is created by hand, as JSON `{"api_key"}`. `calls_per_minute` is the limit of the
    plan, 0 for no limit.
    """

    secret_name: str
    base_url: str = "https://api.massive.com"
    calls_per_minute: int = 5


MAX_RUN_SECONDS = 86_400
_ORIGIN = re.compile(r"\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?")
EXAMPLE_SENDER = "trimtab@example.com"
"""A placeholder that a local cloud accepts. SES on AWS rejects every mail from this address."""


@dataclass(frozen=True)
class Config:
    """The settings of an environment. The defaults are the settings of production."""

    env: str
    identity: OidcIssuer | CognitoPool
    target: Target
    providers: tuple[Provider, ...] = ()
    broker: Paper | Alpaca = Paper()
    bars: FileBars | MassiveBars = FileBars()
    public_url: str = ""
    """The address of the API for clients, if a domain stands in front of API Gateway."""
    local_endpoint: str = ""
    """The endpoint of the local cloud; empty on AWS."""
    any_sender: bool = False
    """Accept queue messages of every sender for every tenant: local clouds report no useful sender id."""
    allowed_origins: tuple[str, ...] = ()
    """The origins of web pages that may call the API, such as `https://app.example.com`, or `*` for every page."""
    platform_tenants: tuple[str, ...] = ()
    """The tenants of the platform: only their tokens may have the scope `market:write`, which moves every tenant's
    portfolios by prices, splits and halts of all tenants."""
    compat: bool = False
    """Serve the routes of earlier systems, too, for clients that still speak their APIs."""
    websocket: bool = True
    """Push events over a WebSocket API, too. Without it, clients poll `GET /events`."""
    inline_layers: bool = False
    gateway_authorizer: bool = True
    gateway_logs: bool = True
    stateful_protection: bool = True
    """Retain everything that holds data, with point-in-time recovery and deletion protection."""
    policy_checks: bool = True
    alarms: bool = True
    oldest_message_alarm_seconds: int = 300
    log_retention_days: int = 90
    log_level: str = "INFO"
    throttle_rate: int = 500
    throttle_burst: int = 1000
    worker_timeout_seconds: int = 30
    worker_visibility_seconds: int = 180
    worker_batch_window_seconds: int = 1
    worker_max_concurrency: int = 20
    recalculation_timeout_seconds: int = 300
    recalculation_visibility_seconds: int = 1800
    valuation_timeout_seconds: int = 120
    """Enough to recompute every day of two years for ten portfolios."""
    valuation_visibility_seconds: int = 720
    mail_sender: str = EXAMPLE_SENDER
    """The sender of e-mails: an address that SES has verified for the account, alone or by domain."""
    mail_reports: bool = True
    """Let SES report bounces and complaints, which disable addresses of contacts."""
    alert_emails: tuple[str, ...] = ()
    """E-mail addresses of operators, subscribed to the alerts topic. AWS asks each for a confirmation."""
    alert_webhook_secret: str = ""
    """The name of a secret with the https URL of a Slack-compatible webhook for alerts and alarms; empty for none."""
    quote_timeout_seconds: int = 120
    """Enough for ten messages of 500 symbols each."""
    quote_visibility_seconds: int = 720
    execution_timeout_seconds: int = 120
    """Enough for two waves of ninety orders at a slow broker. The lease of a crashed worker ends 30 seconds later."""
    execution_visibility_seconds: int = 720
    execution_max_concurrency: int = 10
    allow_local_webhooks: bool = False
    """Allow webhooks that are plain http or reach this computer: for local clouds only."""
    webhook_retry_seconds: int = 10
    """The pause after the first failed delivery to a webhook, threefold after each further one, ten attempts in all."""
    night_timeout_seconds: int = 900
    """Enough for ten sessions at five calls a minute."""
    settlement_timeout_seconds: int = 120
    """Enough for a batch of users with 1,800 open orders each in a market."""
    settlement_visibility_seconds: int = 720
    settlement_max_concurrency: int = 10
    settlement_recheck_seconds: int = 30
    """The delay after a closing before open orders are searched again; longer than any transaction takes."""
    max_stake: str = "1000000.00"
    """The largest stake of one betting order."""
    max_exposure: str = "1000000.00"
    """The largest total liability of the open betting orders of a user, without netting."""
    minimum_expected_value: str = ""
    """The smallest expected value of an order according to the insight on the selection; empty for no limit."""
    threads: int = 8
    """The number of symbols or orders that a worker handles at once."""
    watch_shards: int = 4
    """The number of partitions for the watches of a symbol. Once watches are stored, the number must not shrink."""
    run_seconds: int = 6 * 3600
    """The longest duration of a rebalance; afterwards the portfolio becomes STALE."""
    order_seconds: int = 300
    """The longest time that an order stays open before it is cancelled."""
    reversal_seconds: int = 30
    """The pause before each attempt to compensate fills."""
    halt_seconds: int = 60
    """The interval at which a halted rebalance checks whether the halt was lifted."""
    backoff_seconds: int = 900
    """The pause of a portfolio after its first rolled back rebalance, doubled with each further one."""
    max_backoff_seconds: int = 86_400
    """The longest pause after rolled back rebalances; a longer cooldown of the policy still counts."""
    quarantine_seconds: int = 30 * 86_400
    """The time for which a symbol is not traded after the broker refused an order of the symbol permanently."""
    halt_window_seconds: int = 3600
    """The window of the controls that halt a tenant automatically."""
    halt_rollbacks: int = 50
    """Rebalances rolled back within the window that halt a tenant; 0 switches the control off."""
    halt_held_prices: int = 50
    """Prices held within the window, and needed by the tenant, that halt a tenant; 0 switches the control off."""
    halt_refusals: int = 100
    """Refused plans, and rebalances with refused orders, that halt a tenant; 0 switches the control off."""

    controls: Controls = Controls()
    """The limits that every order passes before it is sent."""

    def __post_init__(self) -> None:
        if not 0 < self.run_seconds <= MAX_RUN_SECONDS:
            raise ValueError(f"run_seconds must be between 1 and {MAX_RUN_SECONDS}")
        for origin in self.allowed_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"allowed_origins: {origin!r} must be * or an origin such as https://app.example.com")

    @property
    def prefix(self) -> str:
        """The prefix of every fixed resource name; environments can share an account."""
        return f"trimtab-{self.env}"


PRODUCTION = Config(env="prod", identity=CognitoPool(), target=lambda_arm64(), platform_tenants=("demo",))

DEVELOPMENT = replace(
    PRODUCTION, env="dev", stateful_protection=False, log_retention_days=7, throttle_rate=50, throttle_burst=100
)

LOCAL = Config(
    env="local",
    identity=OidcIssuer(issuer=LOCAL_ISSUER, audience=LOCAL_AUDIENCE, jwks_parameter=LOCAL_JWKS_PARAMETER),
    target=host(),
    broker=Paper(scenario="infra/local/scenarios/default.json"),
    any_sender=True,
    allow_local_webhooks=True,
    webhook_retry_seconds=1,
    allowed_origins=("*",),  # only this computer reaches the local cloud
    compat=True,
    platform_tenants=("demo", "platform"),
    gateway_logs=False,  # local gateways write no access logs
    mail_reports=False,  # local mail servers deliver nothing, so nothing bounces
    stateful_protection=False,
    policy_checks=False,  # the checks apply to AWS and would delay `make up`
    log_retention_days=1,
    throttle_rate=10_000,
    throttle_burst=10_000,
    # Shorter than six timeouts of the worker, so that a rejected message reaches the dead-letter queue in five short
    # visibility timeouts. A slow batch may be delivered twice; workers are idempotent.
    worker_visibility_seconds=5,
    recalculation_visibility_seconds=30,
    quote_visibility_seconds=5,
    valuation_visibility_seconds=10,
    execution_visibility_seconds=10,
    settlement_visibility_seconds=10,
    settlement_recheck_seconds=1,
    worker_batch_window_seconds=0,
    # The local AWS unpacks the code of each new worker in-process: twenty workers would block all requests for minutes.
    worker_max_concurrency=2,
    execution_max_concurrency=2,
    settlement_max_concurrency=2,
    watch_shards=1,
    reversal_seconds=2,
    halt_seconds=5,
)

LOCALSTACK = replace(
    LOCAL,
    env="localstack",
    target=container(),
    inline_layers=True,  # function layers are a paid feature of LocalStack
    websocket=False,  # WebSocket APIs are a paid feature of LocalStack
    gateway_authorizer=False,  # the community edition ignores authorizers; the functions verify the token
)

ENVIRONMENTS = {config.env: config for config in (LOCAL, LOCALSTACK, DEVELOPMENT, PRODUCTION)}


def load(env: str, bundle: str | None = None, endpoint: str | None = None) -> Config:
    """Return the config of the environment `env`.

    `bundle` (host, container or lambda) overrides the target of the code. `endpoint` is the endpoint of the local cloud
    to deploy to. Raises ValueError for an unknown environment or target.
    """
    if env not in ENVIRONMENTS:
        raise ValueError(f"unknown environment {env!r}; choose one of {', '.join(ENVIRONMENTS)}")
    if bundle and bundle not in TARGETS:
        raise ValueError(f"unknown bundle target {bundle!r}; choose one of {', '.join(TARGETS)}")
    config = replace(ENVIRONMENTS[env], local_endpoint=endpoint or "")
    return replace(config, target=TARGETS[bundle]()) if bundle else config
