"""Values portfolios from the queue `valuations`: after new market data, and after changes of a portfolio."""

from datetime import date
from functools import lru_cache

from pydantic import RootModel

from trimtab import composition
from trimtab.analytics.service.valuations import Valuations
from trimtab.composition import AnalysisSettings
from trimtab.contracts.messages import BusEvent, ValuationRequested
from trimtab.kernel.clock import parse_time, utc_now
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.worker import SQSRecord, worker


class ValuationBody(RootModel[ValuationRequested | BusEvent]):
    """A request for a valuation, or an event that a rule of the bus put on the queue."""


@lru_cache(maxsize=1)
def valuations() -> Valuations:
    """Return the valuations, wired on first use."""
    return composition.valuations(AnalysisSettings.load(), utc_now)


def read_request(message: ValuationRequested | BusEvent) -> tuple[str, str, date | None]:
    """Return tenant id, portfolio id and the first day that may have changed (None: no past day)."""
    if isinstance(message, ValuationRequested):
        return message.tenant_id, message.portfolio_id, message.since
    data = message.detail.data
    at = data.get("affects_from") or data.get("executed_at")
    return message.detail.tenantid, str(data["portfolio_id"]), parse_time(at).date() if at else None


def value(body: ValuationBody, _: SQSRecord) -> None:
    """Value a portfolio; an exception returns the message to the queue."""
    tenant_id, portfolio_id, since = read_request(body.root)
    result = valuations().value(tenant_id, portfolio_id, since)
    count("DaysValued", result.written)
    count("AlertsRaised", result.alerts)
    if result.unknown_alert_kinds:
        count("UnknownAlertKinds", len(result.unknown_alert_kinds))
        logger.warning("alert rules skipped", portfolio_id=portfolio_id, unknown_kinds=result.unknown_alert_kinds)
    logger.info("valued", portfolio_id=portfolio_id, days=result.written, alerts=result.alerts)


handler = worker(ValuationBody, value)
