"""Values portfolios from the queue `valuations`: after new market data, and after changes of a portfolio."""

from functools import lru_cache

from trimtab import composition
from trimtab.analytics.adapters.queues import AnalyticsQueues, AnalyticsQueueSettings
from trimtab.analytics.service.valuations import Valuations
from trimtab.composition import AnalysisSettings
from trimtab.contracts.messages import ValuationRequested
from trimtab.kernel.clock import utc_now
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import SQSRecord, was_delivered_before, worker


class ValuationSettings(AnalysisSettings, AnalyticsQueueSettings):
    """Settings of the function, from the environment."""


@lru_cache(maxsize=1)
def settings() -> ValuationSettings:
    """Return the settings, read on first use."""
    return ValuationSettings.load()


@lru_cache(maxsize=1)
def valuations() -> Valuations:
    """Return the valuations, wired on first use."""
    return composition.valuations(settings(), utc_now)


@lru_cache(maxsize=1)
def queues() -> AnalyticsQueues:
    """Return the sender to the queue of valuations, wired on first use."""
    return AnalyticsQueues(sqs_client(), settings())


def value(message: ValuationRequested, record: SQSRecord) -> None:
    """Value a portfolio, and request the days that are left; an exception returns the message to the queue.

    A message that was delivered before is computed in any case: the attempt before may have stored some values.
    """
    names = (message.tenant_id, message.portfolio_id)
    may_skip = bool(message.unless_valued) and not was_delivered_before(record)
    result = valuations().value(*names, message.since, unless_valued=may_skip)
    if result.next_day:
        queues().request_valuations([names], result.next_day)
    count("ValuationsSkipped", int(result.is_covered))
    count("DaysValued", result.written)
    count("AlertsRaised", result.alerts)
    if result.unknown_alert_kinds:
        count("UnknownAlertKinds", len(result.unknown_alert_kinds))
        logger.warning("alert rules skipped", portfolio_id=names[1], unknown_kinds=result.unknown_alert_kinds)
    logger.info(
        "valued", portfolio_id=names[1], days=result.written, alerts=result.alerts, next_day=str(result.next_day or "")
    )


handler = worker(ValuationRequested, value)
