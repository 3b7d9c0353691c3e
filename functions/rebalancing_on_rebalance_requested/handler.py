"""Lambda worker of the queue `rebalance-requests`: decides drift reports."""

from functools import lru_cache

from pydantic import Json

from trimtab.contracts.messages import RebalanceRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.rebalancing.report_worker import ReportWorker
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, require_sender, sent_at, worker


class WorkerSettings(Settings):
    """Environment variables of this function."""

    portfolios_table: str
    sender_tenants: Json[dict[str, list[str]]]


@lru_cache(maxsize=1)
def settings() -> WorkerSettings:
    """Return the settings, read on first use."""
    return WorkerSettings.load()


@lru_cache(maxsize=1)
def report_worker() -> ReportWorker:
    """Return the worker, created once for each execution environment."""
    return ReportWorker(RebalanceStore(dynamodb_client(), settings().portfolios_table), utc_now)


def decide(message: RebalanceRequested, record: SQSRecord) -> None:
    """Decide a drift report; after an exception the queue delivers the message again."""
    require_sender(record, message.tenant_id, settings().sender_tenants)
    outcome = report_worker().decide(message, sent_at(record, settings().sender_tenants))
    count(f"Rebalance{outcome.status.value.title().replace('_', '')}")
    logger.append_keys(portfolio_id=outcome.portfolio_id, rebalance_id=outcome.rebalance_id)
    logger.info("drift report decided", status=outcome.status.value)


handler = worker(RebalanceRequested, decide)
