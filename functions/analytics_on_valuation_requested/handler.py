"""Values portfolios from the queue `valuations`: after a night, and whenever their past or their state has changed."""

from datetime import date
from functools import lru_cache

from pydantic import RootModel

from trimtab.analytics.adapters.series import DynamoSeries
from trimtab.analytics.service.alerting import Alerting
from trimtab.analytics.service.valuations import Valuations
from trimtab.contracts.messages import BusEvent, ValuationRequested
from trimtab.kernel.clock import parse_time, utc_now
from trimtab.market.adapters.bars import DynamoBars
from trimtab.portfolios.ledger.history import LedgerHistory
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.rebalancing.snapshot import Standings
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, worker


class ValuationSettings(Settings):
    """What this function is told by its environment."""

    portfolios_table: str
    market_table: str
    analytics_table: str


class Body(RootModel[ValuationRequested | BusEvent]):
    """A message of our own, or an event that a rule of the bus put on the queue."""


@lru_cache(maxsize=1)
def valuations() -> Valuations:
    """The valuations, wired to the tables of three contexts."""
    settings = ValuationSettings.load()
    ledger = LedgerStore(dynamodb_client(), settings.portfolios_table, settings.market_table)
    store = DynamoSeries(dynamodb_client(), settings.analytics_table)
    bars = DynamoBars(dynamodb_client(), settings.market_table)
    return Valuations(
        PortfolioStore(dynamodb_client(), settings.portfolios_table),
        LedgerHistory(ledger),
        bars,
        store,
        Alerting(store, Standings(HoldingsReader(ledger, utc_now)), bars, utc_now),
        utc_now,
    )


def wanted(message: ValuationRequested | BusEvent) -> tuple[str, str, date | None]:
    """Return the portfolio (tenant, id) of a message, and the first day that may have changed."""
    if isinstance(message, ValuationRequested):
        return message.tenant_id, message.portfolio_id, message.since
    data = message.detail.data
    at = data.get("affects_from") or data.get("executed_at")
    return message.detail.tenantid, str(data["portfolio_id"]), parse_time(at).date() if at else None


def value(body: Body, _: SQSRecord) -> None:
    """Value one portfolio; raising returns the message to the queue."""
    tenant_id, portfolio_id, since = wanted(body.root)
    valued = valuations().value(tenant_id, portfolio_id, since)
    count("DaysValued", valued.written)
    count("AlertsRaised", valued.alerts)
    logger.info("valued", portfolio_id=portfolio_id, days=valued.written, alerts=valued.alerts)


handler = worker(Body, value)
