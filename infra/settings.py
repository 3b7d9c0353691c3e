"""The parts of a deployment's settings: identity, providers, broker, bars, controls, domain. Validated and frozen."""

import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PlainValidator
from pydantic.dataclasses import dataclass

from trimtab.kernel.caller import PLATFORM_SCOPES

STRICT = ConfigDict(extra="forbid")
"""Unknown settings are errors."""

Amount = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]
"""A decimal number of zero or more, written as text so that no digit is lost."""
AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
"""The twelve digits of an AWS account, in quotes."""
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
"""A region of AWS, such as `eu-central-1`."""
Arn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|aws)?:.+$")]
"""An Amazon Resource Name."""
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
"""At most twenty lower-case letters, digits and hyphens, beginning with a letter."""
Count = Annotated[int, Field(ge=0)]
"""A whole number of zero or more."""
Positive = Annotated[int, Field(ge=1)]
"""A whole number of one or more."""
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?)$")]
"""`*`, or the scheme and host of a web page, such as `https://app.example.com`."""
RetentionDays = Literal[1, 7, 14, 30, 90, 180, 365, 731, 1827, 3653]
"""A number of days that CloudWatch offers for log groups."""

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


@dataclass(frozen=True, config=STRICT)
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


def target_named(value: str | Target) -> Target:
    """Return the target with this name. Raises ValueError for another name."""
    if isinstance(value, Target):
        return value
    if value not in TARGETS:
        raise ValueError(f"unknown bundle target {value!r}; choose one of {', '.join(TARGETS)}")
    return TARGETS[value]()


BundleTarget = Annotated[Target, PlainValidator(target_named)]
"""A platform of bundled code: `host`, `container` or `lambda` (AWS on arm64)."""


@dataclass(frozen=True, config=STRICT)
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
    kind: Literal["oidc"] = "oidc"

    def __post_init__(self) -> None:
        if bool(self.jwks_url) == bool(self.jwks_parameter):
            raise ValueError("an OidcIssuer needs exactly one of jwks_url and jwks_parameter")
        if self.audience is None and not self.client_ids:
            raise ValueError(
                "an OidcIssuer needs an audience or client_ids; otherwise every token of the issuer would be accepted"
            )


@dataclass(frozen=True, config=STRICT)
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
    kind: Literal["cognito"] = "cognito"

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


@dataclass(frozen=True, config=STRICT)
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


@dataclass(frozen=True, config=STRICT)
class Paper:
    """The paper broker: orders fill at the stored quotes.

    `scenario` is the path of a file with faults to simulate, relative to the repository (examples:
    `infra/local/scenarios`). Without a scenario every order fills. With `sessions` orders are sent only in the sessions
    of the exchange, as with Alpaca.
    """

    scenario: str | None = None
    sessions: bool = False
    kind: Literal["paper"] = "paper"


@dataclass(frozen=True, config=STRICT)
class Alpaca:
    """The broker Alpaca. The secret in Secrets Manager is created by hand, as JSON `{"key_id", "secret_key"}`.

    The base URL of the live market is `https://api.alpaca.markets`.
    """

    secret_name: str
    base_url: str = "https://paper-api.alpaca.markets"
    kind: Literal["alpaca"] = "alpaca"


@dataclass(frozen=True, config=STRICT)
class Controls:
    """Pre-trade controls. A policy may set tighter limits of its own; 0 switches a control off.

    `price_collar`: largest distance of a limit price from the quote, in percent. `max_order_notional`: largest value of
    an order, in money. `max_daily_turnover`: what a portfolio buys and sells a day (UTC), in percent of its value.
    `max_runs_per_day`: rebalances of a portfolio a day. `max_tenant_notional`: planned orders of a tenant a day, in
    money. `max_messages_per_minute`: submissions and look-ups at the broker a minute.
    """

    price_collar: Amount = "10"
    max_order_notional: Amount = "1000000"
    max_daily_turnover: Amount = "400"
    max_runs_per_day: Count = 0
    max_tenant_notional: Amount = "0"
    max_messages_per_minute: Count = 0

    def settings(self) -> dict[str, str]:
        """Return the environment variables of a function that plans or executes orders."""
        return {name.upper(): str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, config=STRICT)
class FileBars:
    """Daily bars as files, `2026-11-20.csv` or `.jsonl`, uploaded to the retained bucket below `prefix`.

    `decimal` is the decimal mark of the numbers in CSV files, `point` or `comma`, by default a point.
    """

    prefix: str = "daily"
    decimal: Literal["point", "comma"] | None = None
    kind: Literal["files"] = "files"


@dataclass(frozen=True, config=STRICT)
class MassiveBars:
    """Daily bars from Massive (formerly Polygon).

    The secret in Secrets Manager is created by hand, as JSON `{"api_key"}`. `calls_per_minute` is the limit of the
    plan, 0 for no limit.
    """

    secret_name: str
    base_url: str = "https://api.massive.com"
    calls_per_minute: Count = 5
    kind: Literal["massive"] = "massive"


@dataclass(frozen=True, config=STRICT)
class Domain:
    """A domain of your own before the API. Point its DNS record to the stack output `DomainTarget`.

    `certificate_arn` names a certificate of ACM in the region of the environment, valid for `name`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
    certificate_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$")]


@dataclass(frozen=True, config=STRICT)
class Canary:
    """A gradual release by CodeDeploy: `percent` of the invocations for `minutes`, then all.

    An error of the new version within this time rolls the release back.
    """

    percent: Annotated[int, Field(ge=1, le=99)] = 10
    minutes: Annotated[int, Field(ge=1, le=2880)] = 5


@dataclass(frozen=True, config=STRICT)
class Throttle:
    """The requests that API Gateway accepts from one tenant: `rate` a second, and `burst` at once above the rate."""

    rate: Positive
    burst: Positive


@dataclass(frozen=True, config=STRICT)
class ExistingTable:
    """A table that exists already: restored, or retained by an earlier generation.

    `stream_arn` is needed where the table has a stream: all tables but `paper` and `watches`.
    """

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")]
    stream_arn: Annotated[str, Field(pattern=r"^(arn:aws[a-z-]*:dynamodb:.+/stream/.+)?$")] = ""
