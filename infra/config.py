"""Every deployment's settings, typed and frozen. `-c env=NAME` chooses one; no other file knows an environment's name.

A platform engineer edits `PRODUCTION` (or adds a neighbour to `ENVIRONMENTS`): identity, providers, limits. Nothing
here imports the CDK, so that the local tools can read it quickly.
"""

import platform
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

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
    "operator",
)

LOCAL_ISSUER = "https://issuer.trimtab.localhost"
LOCAL_AUDIENCE = "trimtab"
LOCAL_JWKS_PARAMETER = "/trimtab/local/jwks"


def project_version() -> str:
    """Return the version in pyproject.toml, the one place where the version is written."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


@dataclass(frozen=True)
class Target:
    """What the bundled code will run on: a Python version and uv's name of the platform (None: this machine)."""

    python_version: str
    platform: str | None


def host() -> Target:
    """This machine's interpreter: local clouds that run functions as plain processes use it."""
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", None)


def container() -> Target:
    """The Lambda runtime image of this machine's processor, in which a LocalStack with Docker runs functions."""
    machine = "aarch64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    return Target("3.13", f"{machine}-manylinux_2_28")


def lambda_arm64() -> Target:
    """AWS Lambda as deployed: arm64, Amazon Linux 2023 (glibc newer than 2.28)."""
    return Target("3.13", "aarch64-manylinux_2_28")


TARGETS: dict[str, Callable[[], Target]] = {"host": host, "container": container, "lambda": lambda_arm64}


@dataclass(frozen=True)
class Issuer:
    """An OIDC issuer that exists already. Its keys come from `jwks_url` or from an SSM parameter, never both."""

    issuer: str
    audience: str | None = None
    jwks_url: str | None = None
    jwks_parameter: str | None = None
    client_ids: tuple[str, ...] = ()
    scope_prefix: str = ""
    client_tenants: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.jwks_url) == bool(self.jwks_parameter):
            raise ValueError("an issuer needs exactly one of jwks_url and jwks_parameter")
        if self.audience is None and not self.client_ids:
            raise ValueError("an issuer needs an audience or client_ids: otherwise any of its tokens would do")


@dataclass(frozen=True)
class Cognito:
    """The stack creates a user pool. Each tenant named here gets a machine client (client credentials)."""

    machine_tenants: tuple[str, ...] = ("demo",)
    scope_prefix: str = "trimtab"


@dataclass(frozen=True)
class Provider:
    """Someone outside who may put drift reports on the public queue, and the tenants they may speak for.

    `sender_id` is the unique id of the role (`aws iam get-role`, RoleId, `AROA…`) or user that sends: SQS reports that
    id with each message and not the ARN, so both are needed. `quotes` lets them send prices too: those are everybody's;
    `insights` what they think of selections, to their tenants.
    """

    principal_arn: str
    sender_id: str
    tenants: tuple[str, ...]
    quotes: bool = False
    insights: bool = False


@dataclass(frozen=True)
class Paper:
    """No market: orders fill at the stored quotes. `scenario` is a file below the repository that says what goes wrong
    (`infra/local/scenarios` has some); without one nothing does."""

    scenario: str | None = None


@dataclass(frozen=True)
class Alpaca:
    """Orders go to Alpaca. The secret of this name in Secrets Manager is made by hand: JSON `{"key_id", "secret_key"}`.

    The address of the live market is `https://api.alpaca.markets`.
    """

    secret_name: str
    base_url: str = "https://paper-api.alpaca.markets"


@dataclass(frozen=True)
class FileBars:
    """Daily bars come as files, `2026-11-20.csv` or `.jsonl`, that somebody puts into the bucket that the data stack
    makes, below this prefix."""

    prefix: str = "daily"


@dataclass(frozen=True)
class Massive:
    """Daily bars come from Massive (formerly Polygon). The secret of this name in Secrets Manager is made by hand: JSON
    `{"api_key"}`. `calls_per_minute` is what the plan allows, 0 for no limit."""

    secret_name: str
    base_url: str = "https://api.massive.com"
    calls_per_minute: int = 5


MAX_RUN_SECONDS = 86_400
EXAMPLE_SENDER = "trimtab@example.com"
"""Nobody's address, which a local cloud believes: on AWS every mail from it ends in `mails-dead`."""


@dataclass(frozen=True)
class Config:
    """One environment. Defaults are production's; an environment states only where it differs."""

    env: str
    identity: Issuer | Cognito
    target: Target
    providers: tuple[Provider, ...] = ()
    broker: Paper | Alpaca = Paper()
    bars: FileBars | Massive = FileBars()
    max_jump_percent: int = 40
    """A close that lies further from that of the session before is not stored unless a split explains it."""
    public_url: str = ""
    """The address that people reach the routes at, where it is not the gateway's own: a domain in front of it."""
    local_endpoint: str = ""
    """Where a local cloud listens; empty on AWS."""
    any_sender: bool = False
    """Accept queue messages of every sender, whatever the tenant: local clouds report no useful sender id."""
    inline_layers: bool = False
    gateway_authorizer: bool = True
    gateway_logs: bool = True
    stateful_protection: bool = True
    """RETAIN, point-in-time recovery and deletion protection of everything that holds data."""
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
    """Enough for ten portfolios whose every day of two years is worked out again."""
    valuation_visibility_seconds: int = 720
    mail_sender: str = EXAMPLE_SENDER
    """Who e-mails come from: an address or a domain that SES has verified for the account."""
    quote_timeout_seconds: int = 120
    """Enough for ten messages of 500 symbols each."""
    quote_visibility_seconds: int = 720
    execution_timeout_seconds: int = 120
    """Enough for two waves of ninety orders at a slow broker; a crashed worker is replaced 30 seconds after it."""
    execution_visibility_seconds: int = 720
    execution_max_concurrency: int = 10
    night_timeout_seconds: int = 900
    """Enough for ten sessions at five calls a minute."""
    settlement_timeout_seconds: int = 120
    """Enough for a batch of users with 1,800 open orders each in a market."""
    settlement_visibility_seconds: int = 720
    settlement_max_concurrency: int = 10
    settlement_recheck_seconds: int = 30
    """How long after a closing is looked whether an order is left: longer than a transaction can be under way."""
    max_stake: str = "1000000.00"
    """The largest stake of one betting order."""
    max_exposure: str = "1000000.00"
    """What the open betting orders of a user may lose in all, nothing netted."""
    minimum_expected_value: str = ""
    """Orders whose insight gives them less are refused; empty: none is."""
    threads: int = 8
    """How many symbols or orders a worker handles at once."""
    watch_shards: int = 4
    """Partitions a symbol's watches are spread over. Once there are watches it may grow, and never shrink."""
    run_seconds: int = 6 * 3600
    """A rebalance that has not ended by then is given up: its portfolio is STALE."""
    order_seconds: int = 300
    """An order that is still open then is cancelled."""
    reversal_seconds: int = 30
    """The pause before each try to reverse what was filled."""
    halt_seconds: int = 60
    """How soon a rebalance notices that a halt was lifted."""

    def __post_init__(self) -> None:
        if not 0 < self.run_seconds <= MAX_RUN_SECONDS:
            raise ValueError(f"run_seconds must lie between 1 and {MAX_RUN_SECONDS}")

    @property
    def prefix(self) -> str:
        """Heads the name of everything that has a fixed name, so that environments share an account in peace."""
        return f"trimtab-{self.env}"


PRODUCTION = Config(env="prod", identity=Cognito(), target=lambda_arm64())

DEVELOPMENT = replace(
    PRODUCTION, env="dev", stateful_protection=False, log_retention_days=7, throttle_rate=50, throttle_burst=100
)

LOCAL = Config(
    env="local",
    identity=Issuer(issuer=LOCAL_ISSUER, audience=LOCAL_AUDIENCE, jwks_parameter=LOCAL_JWKS_PARAMETER),
    target=host(),
    any_sender=True,
    gateway_logs=False,  # nobody reads access logs on a laptop, and the local gateways write none
    stateful_protection=False,
    policy_checks=False,  # they judge what goes to AWS; here they would only delay `make up`
    log_retention_days=1,
    throttle_rate=10_000,
    throttle_burst=10_000,
    # Shorter than the rule of six timeouts: a refused message waits this long, and five times that on its way to the
    # dead-letter queue. A slow batch may so be delivered twice, which the worker bears by design.
    worker_visibility_seconds=5,
    recalculation_visibility_seconds=30,
    quote_visibility_seconds=5,
    valuation_visibility_seconds=10,
    execution_visibility_seconds=10,
    settlement_visibility_seconds=10,
    settlement_recheck_seconds=1,
    worker_batch_window_seconds=0,
    # The local AWS unpacks the code of each new worker itself: twenty at once would keep it from answering for minutes.
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
    inline_layers=True,  # layers of functions are a paid feature there
    gateway_authorizer=False,  # community ignores authorizers: the functions verify the token themselves
)

ENVIRONMENTS = {config.env: config for config in (LOCAL, LOCALSTACK, DEVELOPMENT, PRODUCTION)}


def load(env: str, bundle: str | None = None, endpoint: str | None = None) -> Config:
    """The environment of that name; `bundle` (host, container or lambda) overrides what its code is built for, and
    `endpoint` says where the local cloud listens that it is deployed to."""
    if env not in ENVIRONMENTS:
        raise ValueError(f"no environment {env!r}: one of {', '.join(ENVIRONMENTS)}")
    if bundle and bundle not in TARGETS:
        raise ValueError(f"no bundle target {bundle!r}: one of {', '.join(TARGETS)}")
    config = replace(ENVIRONMENTS[env], local_endpoint=endpoint or "")
    return replace(config, target=TARGETS[bundle]()) if bundle else config
