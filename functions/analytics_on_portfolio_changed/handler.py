"""Requests one valuation of each changed portfolio, for a whole batch of events from the queue `portfolio-changes`."""

from functools import lru_cache

from pydantic import ConfigDict

from trimtab.analytics.adapters.queues import AnalyticsQueues, AnalyticsQueueSettings
from trimtab.analytics.domain.changed_days import PortfolioChange, first_changed_days
from trimtab.contracts.fields import Identifier, Model, Time
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import batch_worker


class ChangeData(Model):
    """The data of an event: the portfolio, and the earliest time at which the event changes the portfolio, if any."""

    model_config = ConfigDict(extra="ignore")

    portfolio_id: Identifier
    affects_from: Time | None = None
    executed_at: Time | None = None


class ChangeEvent(Model):
    """The tenant and the data of an event; other members of the CloudEvent are ignored."""

    model_config = ConfigDict(extra="ignore")

    tenantid: Identifier
    data: ChangeData


class ChangeOnBus(Model):
    """An event in the envelope of the bus."""

    model_config = ConfigDict(extra="ignore")

    detail: ChangeEvent

    def to_domain(self) -> PortfolioChange:
        """Return the change; a day begins at midnight UTC."""
        data = self.detail.data
        at = data.affects_from or data.executed_at
        return PortfolioChange(self.detail.tenantid, data.portfolio_id, at.date() if at else None)


@lru_cache(maxsize=1)
def queues() -> AnalyticsQueues:
    """Return the sender to the queue of valuations, wired on first use."""
    return AnalyticsQueues(sqs_client(), AnalyticsQueueSettings.load())


def request_valuations(events: list[ChangeOnBus]) -> None:
    """Request the valuation of each portfolio that the events changed; an exception returns all to the queue."""
    changes = first_changed_days(event.to_domain() for event in events)
    requested = queues().request_valuations_of_changes(changes)
    count("ValuationsRequested", requested)
    logger.info("requested", events=len(events), valuations=requested)


handler = batch_worker(ChangeOnBus, request_valuations)
