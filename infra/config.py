"""The settings of an environment, validated and frozen. `infra/environments/NAME.toml` states what differs.

No other module knows the name of an environment. This module does not import the CDK, so the local tools load it
quickly.
"""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from infra.settings import (
    STRICT,
    AccountId,
    Alpaca,
    Amount,
    Arn,
    BundleTarget,
    Canary,
    CognitoPool,
    Controls,
    Count,
    Domain,
    EnvironmentName,
    ExistingTable,
    FileBars,
    MassiveBars,
    OidcIssuer,
    Origin,
    Paper,
    Positive,
    Provider,
    Region,
    RetentionDays,
    Throttle,
    lambda_arm64,
)
from infra.tables import BY_NAME
from trimtab.betting.domain.exposure_limits import LimitedExposure
from trimtab.betting.domain.odds import OddsLadder

ROOT = Path(__file__).resolve().parents[1]
"""The root of the repository."""

MAX_RUN_SECONDS = 86_400
EXAMPLE_SENDER = "trimtab@example.com"
"""A placeholder that a local cloud accepts. SES on AWS rejects every mail from this address."""


@dataclass(frozen=True, config=STRICT)
class Config:
    """The settings of an environment. The defaults are the settings of production."""

    env: EnvironmentName
    """The name of the file; part of the name of every resource."""
    identity: Annotated[OidcIssuer | CognitoPool, Field(discriminator="kind")] = CognitoPool()
    """The issuer of the tokens: `kind` is `oidc` or `cognito`."""
    account: AccountId | None = None
    """The AWS account of the environment; a deployment with credentials of another account is refused."""
    region: Region | None = None
    """The AWS region of the environment; without one, the region of the credentials."""
    tags: dict[str, str] = field(default_factory=dict)
    """Tags of every resource, besides `application` and `environment`."""
    generation: Positive = 1
    """Part of every fixed name from 2 on. Raise the number to deploy again beside what an earlier stack retained."""
    domain: Domain | None = None
    """The domain of the API and its certificate; without one, clients use the address that API Gateway gives."""
    web_acl_arn: Arn | None = None
    """A web ACL of AWS WAF (regional) before the API."""
    kms_key_arn: Arn | None = None
    """A key of AWS KMS for tables and buckets, in the account of the environment. By default AWS owns the key."""
    permissions_boundary_arn: Arn | None = None
    """The managed policy that bounds the permissions of every role."""
    canary: Canary | None = None
    """Release new versions of the functions behind the API and of the main workers gradually; by default at once."""
    tables: dict[str, ExistingTable] = field(default_factory=dict)
    """Existing tables to use instead of new ones, by name: `portfolios`, `market` …"""
    target: BundleTarget = field(default_factory=lambda_arm64)
    """The platform for which code is bundled."""
    providers: tuple[Provider, ...] = ()
    """External senders on the public queues."""
    broker: Annotated[Paper | Alpaca, Field(discriminator="kind")] = Paper()
    """The broker of every portfolio: `kind` is `paper` or `alpaca`."""
    bars: Annotated[FileBars | MassiveBars, Field(discriminator="kind")] = FileBars()
    """The source of daily bars: `kind` is `files` or `massive`."""
    public_url: str = ""
    """The address of the API for clients, if a domain stands in front of API Gateway."""
    local_endpoint: str = ""
    """The endpoint of the local cloud; empty on AWS."""
    any_sender: bool = False
    """Accept queue messages of every sender for every tenant: local clouds report no useful sender id."""
    allowed_origins: tuple[Origin, ...] = ()
    """The origins of web pages that may call the API, such as `https://app.example.com`, or `*` for every page."""
    platform_tenants: tuple[str, ...] = ()
    """The tenants of the platform: only their tokens may have the scope `market:write`, which moves every tenant's
    portfolios by prices, splits and halts of all tenants."""
    compat: bool = False
    """Serve the routes of earlier systems, too, for clients that still speak their APIs."""
    websocket: bool = True
    """Push events over a WebSocket API, too. Without it, clients poll `GET /events`."""
    inline_layers: bool = False
    """Copy the shared code into each function, for clouds without layers."""
    gateway_authorizer: bool = True
    """Let API Gateway refuse invalid tokens before a function runs."""
    gateway_logs: bool = True
    """Write access logs of the API."""
    stateful_protection: bool = True
    """Retain everything that holds data, with point-in-time recovery and deletion protection."""
    policy_checks: bool = True
    """Check the templates with cdk-nag; a finding fails the synthesis."""
    alarms: bool = True
    """Deploy the monitoring stack: alarms, a dashboard and the detection of cost anomalies."""
    oldest_message_alarm_seconds: Positive = 300
    """The age of the oldest message of a queue, or of a stream's oldest record, at which an alarm rings."""
    log_retention_days: RetentionDays = 90
    """The days for which CloudWatch keeps the logs of functions and of the API."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level of the functions' log entries."""
    throttle_rate: Positive = 500
    """Requests a second that the API accepts; more are refused with 429."""
    throttle_burst: Positive = 1000
    """Requests that the API accepts at once, above the rate."""
    reserved_concurrency: dict[str, Positive] = field(default_factory=dict)
    """The most executions of a function at once, by its folder below `functions`: a flooded route takes no more of the
    account's. The number is kept for the function. Functions without a number share the rest."""
    tenant_throttles: dict[str, Throttle] = field(default_factory=dict)
    """Throttles of single tenants by their ids. The other tenants share the throttle of the API."""
    worker_timeout_seconds: Positive = 30
    """The time-out of most workers."""
    worker_visibility_seconds: Positive = 180
    """The visibility timeout of their queues: six time-outs, as AWS recommends."""
    worker_batch_window_seconds: Count = 1
    """The longest wait of a worker for a full batch."""
    worker_max_concurrency: Positive = 20
    """The most batches that a worker handles at once."""
    recalculation_timeout_seconds: Positive = 300
    """The time-out of the worker that recomputes ledgers."""
    recalculation_visibility_seconds: Positive = 1800
    """The visibility timeout of the queue `recalculations`."""
    valuation_timeout_seconds: Positive = 120
    """Enough to recompute every day of two years for ten portfolios."""
    valuation_visibility_seconds: Positive = 720
    """The visibility timeout of the queue of valuations."""
    mail_sender: str = EXAMPLE_SENDER
    """The sender of e-mails: an address that SES has verified for the account, alone or by domain."""
    mail_reports: bool = True
    """Let SES report bounces and complaints, which disable addresses of contacts."""
    alert_emails: tuple[str, ...] = ()
    """E-mail addresses of operators, subscribed to the alerts topic. AWS asks each for a confirmation."""
    alert_webhook_secret: str = ""
    """The name of a secret with the https URL of a Slack-compatible webhook for alerts and alarms; empty for none."""
    quote_timeout_seconds: Positive = 120
    """Enough for ten messages of 500 symbols each."""
    quote_visibility_seconds: Positive = 720
    """The visibility timeout of the queue `quotes`."""
    execution_timeout_seconds: Positive = 120
    """Enough for two waves of ninety orders at a slow broker. The lease of a crashed worker ends 30 seconds later."""
    execution_visibility_seconds: Positive = 720
    """The visibility timeout of the queue `rebalance-executions`."""
    execution_max_concurrency: Positive = 10
    """The most rebalances that are executed at once."""
    allow_local_webhooks: bool = False
    """Allow webhooks that are plain http or reach this computer: for local clouds only."""
    webhook_retry_seconds: Positive = 10
    """The pause after the first failed delivery to a webhook, threefold after each further one, ten attempts in all."""
    night_timeout_seconds: Positive = 900
    """Enough for ten sessions at five calls a minute."""
    settlement_timeout_seconds: Positive = 120
    """Enough for a batch of users with 1,800 open orders each in a market."""
    settlement_visibility_seconds: Positive = 720
    """The visibility timeout of the queue of settlements."""
    settlement_max_concurrency: Positive = 10
    """The most batches of settlements that are handled at once."""
    settlement_recheck_seconds: Positive = 30
    """The delay after a closing before open orders are searched again; longer than any transaction takes."""
    max_stake: Amount = "1000000.00"
    """The largest stake of one betting order."""
    max_exposure: Amount = "1000000.00"
    """The largest exposure of the open betting orders of a user over all markets, in money; see `exposure_limit`."""
    exposure_limit: LimitedExposure = LimitedExposure.WORST_CASE
    """The exposure that `max_exposure` limits: `worst_case` (default), the sum of the largest possible losses of the
    markets with hedges netted, or `gross`, the sum of the exposures of all open orders."""
    number_of_winners: Annotated[int, Field(ge=1, le=20)] | None = None
    """The number of winners of a betting market whose settlement states none. Without a default, the settlement of a
    market that several selections won has to state the number."""
    odds_ladder: OddsLadder = OddsLadder.TWO_DECIMALS
    """The odds of betting orders: all of `two_decimals` (default) or `three_decimals`, or the steps of `betfair`."""
    minimum_expected_value: str = ""
    """The smallest expected value of an order according to the insight on the selection; empty for no limit."""
    threads: Positive = 8
    """The number of symbols or orders that a worker handles at once."""
    watch_shards: Positive = 4
    """The number of partitions for the watches of a symbol. Once watches are stored, the number must not shrink."""
    run_seconds: Annotated[int, Field(ge=1, le=MAX_RUN_SECONDS)] = 21_600
    """The longest duration of a rebalance; afterwards the portfolio becomes STALE."""
    order_seconds: Positive = 300
    """The longest time that an order stays open before it is cancelled."""
    reversal_seconds: Positive = 30
    """The pause before each attempt to compensate fills."""
    halt_seconds: Positive = 60
    """The interval at which a halted rebalance checks whether the halt was lifted."""
    backoff_seconds: Positive = 900
    """The pause of a portfolio after its first rolled back rebalance, doubled with each further one."""
    max_backoff_seconds: Positive = 86_400
    """The longest pause after rolled back rebalances; a longer cooldown of the policy still counts."""
    quarantine_seconds: Positive = 2_592_000
    """The time for which a symbol is not traded after the broker refused an order of the symbol permanently."""
    halt_window_seconds: Positive = 3600
    """The window of the controls that halt a tenant automatically."""
    halt_rollbacks: Count = 50
    """Rebalances rolled back within the window that halt a tenant; 0 switches the control off."""
    halt_held_prices: Count = 50
    """Prices held within the window, and needed by the tenant, that halt a tenant; 0 switches the control off."""
    halt_refusals: Count = 100
    """Refused plans, and rebalances with refused orders, that halt a tenant; 0 switches the control off."""

    controls: Controls = Controls()
    """The limits that every order passes before it is sent."""

    @property
    def prefix(self) -> str:
        """The prefix of every fixed resource name; environments can share an account."""
        return f"trimtab-{self.env}" if self.generation == 1 else f"trimtab-{self.env}-{self.generation}"

    @property
    def api_url(self) -> str:
        """The address of the API for clients: `public_url`, or the domain; empty for the address of API Gateway."""
        return self.public_url or (f"https://{self.domain.name}" if self.domain else "")

    @field_validator("tables")
    @classmethod
    def _require_streams(cls, tables: dict[str, ExistingTable]) -> dict[str, ExistingTable]:
        for name, table in tables.items():
            if name not in BY_NAME:
                raise ValueError(f"no table {name!r}; write one of {', '.join(BY_NAME)}")
            if BY_NAME[name].stream and not table.stream_arn:
                raise ValueError(f"the table {name!r} needs a stream; add `stream_arn`")
        return tables

    @field_validator("reserved_concurrency")
    @classmethod
    def _require_functions(cls, reserved: dict[str, int]) -> dict[str, int]:
        for name in reserved:
            if not name.isidentifier() or not (ROOT / "functions" / name / "handler.py").is_file():
                raise ValueError(f"no function {name!r}; write the name of a folder below functions/")
        return reserved

    @model_validator(mode="after")
    def _require_region_of_certificate(self) -> Self:
        if self.domain and self.region and self.domain.certificate_arn.split(":")[3] != self.region:
            raise ValueError(f"domain.certificate_arn: the certificate must be in the region {self.region}")
        return self
