"""Values portfolios from the queue `valuations`: after a night, and whenever their past or their state has changed."""

from datetime import date
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import RootModel

from trimtab.analytics.adapters.series import DynamoSeries
from trimtab.analytics.service.alerting import Alerting
from trimtab.analytics.service.valuations import Valuations
from trimtab.contracts.messages import BusEvent, ValuationRequested
from trimtab.kernel.clock import parse_time, utc_now
from trimtab.market.adapters.bars import DynamoBars
from trimtab.portfolios.ledger.history import Books
from trimtab.portfolios.ledger.positions import Holdings
from trimtab.portfolios.ledger.store import DynamoLedger
from trimtab.portfolios.rebalancing.snapshot import Standings
from trimtab.portfolios.store import DynamoStore
from trimtab.runtime import queue
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


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
    ledger = DynamoLedger(dynamodb(), settings.portfolios_table, settings.market_table)
    store = DynamoSeries(dynamodb(), settings.analytics_table)
    bars = DynamoBars(dynamodb(), settings.market_table)
    return Valuations(
        DynamoStore(dynamodb(), settings.portfolios_table),
        Books(ledger),
        bars,
        store,
        Alerting(store, Standings(Holdings(ledger, utc_now)), bars, utc_now),
        utc_now,
    )


def wanted(record: SQSRecord) -> tuple[str, str, date | None]:
    """The portfolio (tenant, id) of a message, and the first day that may have changed."""
    body = queue.read(record, Body).root
    if isinstance(body, ValuationRequested):
        return body.tenant_id, body.portfolio_id, body.since
    data = body.detail.data
    at = data.get("affects_from") or data.get("executed_at")
    return body.detail.tenantid, str(data["portfolio_id"]), parse_time(at).date() if at else None


def value(record: SQSRecord) -> None:
    """Values one portfolio; raising returns the message to the queue."""
    tenant_id, portfolio_id, since = wanted(record)
    valued = valuations().value(tenant_id, portfolio_id, since)
    count("DaysValued", valued.written)
    count("AlertsRaised", valued.alerts)
    logger.info("valued", portfolio_id=portfolio_id, days=valued.written, alerts=valued.alerts)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of messages; those that could not be settled are returned to the queue."""
    return queue.process(processor, event, context, value)
