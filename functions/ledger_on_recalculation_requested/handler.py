"""Records trades that need more trades folded than a client can wait for (queue `recalculations`)."""

from functools import lru_cache

from trimtab.contracts.messages import RecalculationRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.ledger.recalculation_worker import RecalculationWorker
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, worker


class RecalculationSettings(Settings):
    """Settings read from the environment of the function."""

    portfolios_table: str
    market_table: str


@lru_cache(maxsize=1)
def recalculation_worker() -> RecalculationWorker:
    """Return the worker, created once for each execution environment."""
    settings = RecalculationSettings.load()
    return RecalculationWorker(
        LedgerStore(dynamodb_client(), settings.portfolios_table, settings.market_table), utc_now
    )


def recalculate(message: RecalculationRequested, _: SQSRecord) -> None:
    """Complete or reject one recalculation; an exception returns the message to the queue."""
    job = recalculation_worker().run(message.tenant_id, message.portfolio_id, message.job_id)
    if job is None:
        raise PoisonError(f"recalculation {message.job_id} does not exist")
    count(f"Recalculation{job.status.value.title()}")
    logger.info("recalculation ended", job_id=job.job_id, status=job.status.value)


handler = worker(RecalculationRequested, recalculate)
