"""Records what takes longer than a client can wait for: recalculations and imports (queue `recalculations`)."""

from functools import lru_cache

from trimtab.contracts.messages import RecalculationRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.ledger.import_worker import ImportWorker
from trimtab.portfolios.ledger.imports import Import
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.recalculation_worker import RecalculationWorker
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, worker


class RecalculationSettings(QueueSettings):
    """Settings read from the environment of the function."""

    portfolios_table: str
    market_table: str


@lru_cache(maxsize=1)
def settings() -> RecalculationSettings:
    """Return the settings, read on first use."""
    return RecalculationSettings.load()


@lru_cache(maxsize=1)
def ledger() -> LedgerStore:
    """Return the ledger, created once for each execution environment."""
    return LedgerStore(dynamodb_client(), settings().portfolios_table, settings().market_table)


@lru_cache(maxsize=1)
def recalculation_worker() -> RecalculationWorker:
    """Return the worker of recalculations."""
    return RecalculationWorker(ledger(), utc_now)


@lru_cache(maxsize=1)
def import_worker() -> ImportWorker:
    """Return the worker of imports."""
    return ImportWorker(ledger(), WorkerQueues(sqs_client(), settings()), utc_now)


def continue_job(message: RecalculationRequested, _: SQSRecord) -> None:
    """Complete or reject a recalculation, or continue an import; an exception returns the message to the queue."""
    names = (message.tenant_id, message.portfolio_id, message.job_id)
    job: Recalculation | Import | None = recalculation_worker().run(*names) or import_worker().run(*names)
    if job is None:
        raise PoisonError(f"recalculation or import {message.job_id} does not exist")
    count(f"{type(job).__name__}{job.status.value.title()}")
    logger.info("job continued", job_id=message.job_id, kind=type(job).__name__, status=job.status.value)


handler = worker(RecalculationRequested, continue_job)
