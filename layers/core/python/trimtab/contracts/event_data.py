"""The data of every published event, by type, and the JSON Schema of the events."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from trimtab.contracts.events import CloudEvent
from trimtab.contracts.fields import Model


class PortfolioData(Model):
    """The portfolio that was created, updated, closed or resolved."""

    portfolio_id: str
    user_id: str
    name: str


class RebalanceData(Model):
    """The outcome of a rebalance. The transactions are at /portfolios/{portfolio_id}/rebalances/{rebalance_id}."""

    rebalance_id: str
    portfolio_id: str
    user_id: str
    request_id: str
    status: str
    """The status that the rebalance got. Example: `COMPLETED`"""
    reason_code: str
    """The reason of the outcome as a code for programs. Example: `outside_band`"""


class StaleData(PortfolioData):
    """A portfolio that became STALE."""

    reason: str
    """The reason for which holdings or cash are uncertain."""
    rebalance_id: str
    """The rebalance that led to the status."""
    remedy: str


class BackingOffData(PortfolioData):
    """A portfolio whose automatic rebalances wait until a time (UTC), because a rebalance was rolled back.

    One event for each episode: later rollbacks before the next completed rebalance only lengthen the pause.
    """

    reason_code: str
    """The reason of the rollback as a code for programs."""
    rebalance_id: str
    """The rebalance that was rolled back."""
    until: datetime
    """The time until which automatic rebalances wait (UTC)."""
    remedy: str


class QuarantineData(PortfolioData):
    """A symbol that the portfolio does not trade for a while, because the broker refused an order permanently."""

    symbol: str
    restriction: str
    reason: str
    rebalance_id: str
    until: datetime
    remedy: str


class HaltedData(Model):
    """An automatic halt of all orders of the event's tenant."""

    control: str
    """The control: `rollbacks`, `refusals` or `held_prices`. Example: `rollbacks`"""
    count: int
    """The number of incidents within the window. Example: `50`"""
    window_seconds: int
    """The length of the window in seconds. Example: `3600`"""
    reason: str
    """The reason as a sentence for people."""
    remedy: str


class ReleasedSymbolData(PortfolioData):
    """A symbol whose quarantine a person lifted."""

    symbol: str
    by: str
    """The subject of the token of the person. Example: `ops@example.com`"""
    reason: str
    """The person's reason."""


class StuckData(Model):
    """A rebalance request that is undecided after three resends. An operator has to investigate."""

    rebalance_id: str
    portfolio_id: str


class StuckJobData(Model):
    """A recalculation or an import that is unfinished after three resends. An operator has to investigate."""

    job_id: str
    """The id of the recalculation, a UUID. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    portfolio_id: str


class TradeData(Model):
    """The state of a trade after the event."""

    portfolio_id: str
    user_id: str
    ref_id: str
    side: str
    symbol: str
    quantity: str
    amount: str
    status: str
    executed_at: str
    affects_from: str
    """The earliest time at which the trade changes the portfolio (UTC). After a correction of the time, the earlier of
    both times. Example: `2026-11-20T15:30:00Z`"""
    revision: int
    """The number of the present revision, from 1. Example: `1`"""
    kind: str | None = None
    """The kind of a movement of units or cost without a trade; absent for a trade. Example: `spin_off`"""
    spun_off_from: str | None = None
    """The parent's symbol of a spin-off; absent for other kinds. Example: `AAPL`"""


class CashData(Model):
    """A deposit into a portfolio or a withdrawal from the portfolio, with the time of execution."""

    portfolio_id: str
    user_id: str
    ref_id: str
    type: str
    amount: str
    executed_at: str


class CorrectedCashData(CashData):
    """A cash entry after a correction."""

    affects_from: str
    """The time from which balances changed (UTC). Example: `2026-11-20T15:30:00Z`"""
    is_void: bool
    """True for an entry that changes no balance. Example: `false`"""
    revision: int
    """The number of the present revision, from 1. Example: `2`"""


class RecountedCashData(PortfolioData):
    """A portfolio with another rule of cash."""

    cash_tracking: str
    """The new rule: `on`, `margin`, `from_first_entry` or `off`. Example: `on`"""
    affects_from: str
    """The execution of the earliest entry (UTC), from which balances changed. Example: `2026-11-20T15:30:00Z`"""


class ImportData(Model):
    """An import whose entries count from now on, or count no more; they have no events of their own."""

    import_id: str
    """The id of the import, a UUID. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    portfolio_id: str
    user_id: str
    kind: str
    """The kind of the entries: `trade` or `cash`. Example: `trade`"""
    recorded: int
    """The number of entries. Example: `120`"""
    affects_from: str
    """The earliest time of execution among the entries (UTC). Example: `2026-11-20T15:30:00Z`"""


class AlertData(Model):
    """An alert for people. An alert about the whole platform has the tenant `platform`."""

    rule: str
    """The `rule_id` of the rule that raised the alert, or the name of a check of the platform. Example: `drawdown`"""
    title: str
    """The title of the alert. Example: `Drawdown above its limit`"""
    text: str
    """The alert as a sentence for people."""
    portfolio_id: str | None = None
    """The portfolio; null or absent for an alert about the whole platform."""
    user_id: str | None = None
    """The owner of the portfolio; null or absent for an alert about the whole platform."""
    name: str | None = None
    """The name of the portfolio; null or absent for an alert about the whole platform. Example: `Retirement`"""
    episode: str
    """The id of the episode: alerts about the same continuing condition share it."""
    details: Mapping[str, str] = Field(default_factory=dict)
    """The numbers behind the alert, as texts by name."""


class BarsData(Model):
    """A day whose bars were ingested."""

    day: str
    """The day; after a backfill of many days, the first of them. Example: `2026-11-20`"""
    stored: int
    """The number of bars stored. Example: `480`"""
    changed: int
    """The number of bars that replaced an earlier revision. Example: `2`"""


class SplitData(Model):
    """A split that was entered, amended or withdrawn."""

    symbol: str
    effective_on: str
    """The day of the split. Example: `2026-11-20`"""
    ratio: str
    per: str
    actor: str
    """The person or the provider that acted. Example: `massive`"""
    reason: str | None
    """The reason; null for an entered split."""


class PriceData(Model):
    """A price that was held as implausible, released or withdrawn."""

    symbol: str
    price: str
    """The price of one unit in the `quote_unit` of the asset. Example: `151.40`"""
    as_of: str
    """The time of the price (UTC). Example: `2026-11-20T15:30:00Z`"""
    source: str
    """The source of the price. Example: `alpaca`"""
    actor: str
    """The person or the source that acted. Example: `ops@example.com`"""
    reason: str | None
    """The reason; null where there is none."""


class OrderData(Model):
    """The state of a betting order after the event."""

    id: str
    user_id: str
    market_id: str
    selection_id: str
    side: Literal["BACK", "LAY"]
    stake: str
    odds: str
    status: str
    payout: str | None
    settled_at: str | None
    exposure: str
    pnl: str | None


class ResettledOrderData(OrderData):
    """The state of a betting order after a correction of the settlement."""

    payout_change: str
    """The change of the payout in money, negative where the payout was reduced. Example: `-35.00`"""
    pnl_change: str
    """The change of the profit or loss in money. Example: `-35.00`"""
    reason: str
    """The reason of the correction. Example: `The winner was disqualified.`"""


class PositionData(Model):
    """The position of a user in one selection after the event."""

    user_id: str
    market_id: str
    selection_id: str
    side: Literal["BACK", "LAY"] | None
    exposure: str
    pnl: str
    if_win: str
    if_lose: str
    market_commission: str
    """The commission on the whole market in money, over all selections of the user and not part of any `pnl`: count it
    once a market. Example: `0.00`"""


class MarketData(Model):
    """The state of a betting market after the event."""

    market_id: str
    state: Literal["OPEN", "SUSPENDED", "CLOSED"]
    """`OPEN` takes orders; in `SUSPENDED` and `CLOSED` orders are neither placed nor cancelled by users. Example:
    `SUSPENDED`"""


class DisabledContactData(Model):
    """An e-mail address of a portfolio's contacts that gets no mail from now on."""

    portfolio_id: str
    email: str
    """The address. Example: `ada@example.com`"""
    reason: Literal["bounce", "complaint"]
    """`bounce` if the mail server of the address refused a mail for good, `complaint` if a mail was reported as spam.
    Example: `bounce`"""
    detail: str
    """The report of the mail server. Example: `General: smtp; 550 5.1.1 user unknown`"""


class RejectedMailData(Model):
    """A mail to a contact that Amazon SES rejected for good. The mail is not sent again."""

    portfolio_id: str
    email: str
    """The address. Example: `ada@example.com`"""
    message_id: str
    """The id of the alert event or of the report. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    reason: str
    """The error of SES."""


class WebhookData(Model):
    """A webhook that was disabled because deliveries failed. Events wait, up to 30 days, until it is enabled again."""

    webhook_id: str
    url: str
    """The URL of the receiver. Example: `https://hooks.example.com/trimtab`"""
    reason: str
    """The reason as a sentence for people."""


DATA: Mapping[str, type[Model]] = {
    "alert.raised": AlertData,
    "contact.disabled": DisabledContactData,
    "mail.rejected": RejectedMailData,
    "bars.ingested": BarsData,
    "split.entered": SplitData,
    "split.amended": SplitData,
    "split.withdrawn": SplitData,
    "price.held": PriceData,
    "price.released": PriceData,
    "price.withdrawn": PriceData,
    "portfolio.created": PortfolioData,
    "portfolio.updated": PortfolioData,
    "portfolio.closed": PortfolioData,
    "portfolio.stale": StaleData,
    "portfolio.backing_off": BackingOffData,
    "portfolio.resolved": PortfolioData,
    "orders.halted": HaltedData,
    "symbol.quarantined": QuarantineData,
    "symbol.released": ReleasedSymbolData,
    "rebalance.completed": RebalanceData,
    "rebalance.rejected": RebalanceData,
    "rebalance.cancelled": RebalanceData,
    "rebalance.rolled_back": RebalanceData,
    "rebalance.stuck": StuckData,
    "recalculation.stuck": StuckJobData,
    "trade.recorded": TradeData,
    "trade.corrected": TradeData,
    "order.placed": OrderData,
    "order.settled": OrderData,
    "order.resettled": ResettledOrderData,
    "order.cancelled": OrderData,
    "position.updated": PositionData,
    "market.suspended": MarketData,
    "market.reopened": MarketData,
    "market.closed": MarketData,
    "cash.recorded": CashData,
    "cash.corrected": CorrectedCashData,
    "cash.recounted": RecountedCashData,
    "import.completed": ImportData,
    "import.undone": ImportData,
    "webhook.disabled": WebhookData,
}
"""The model of the data of every published event, by event type."""


class AlertType(StrEnum):
    """The types of the events that an operator has to see."""

    ALERT_RAISED = "alert.raised"
    ORDERS_HALTED = "orders.halted"
    PORTFOLIO_STALE = "portfolio.stale"
    PORTFOLIO_BACKING_OFF = "portfolio.backing_off"
    SYMBOL_QUARANTINED = "symbol.quarantined"
    REBALANCE_STUCK = "rebalance.stuck"
    RECALCULATION_STUCK = "recalculation.stuck"
    CONTACT_DISABLED = "contact.disabled"
    MAIL_REJECTED = "mail.rejected"


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every event by type: the envelope together with the data."""
    written = {}
    for type, data in DATA.items():
        schema = CloudEvent.model_json_schema()
        schema["title"] = type
        schema["properties"]["type"] = {"const": type}
        schema["properties"]["data"] = data.model_json_schema()
        schema["required"] = [*schema["required"], "data"]
        written[type] = schema
    return written
