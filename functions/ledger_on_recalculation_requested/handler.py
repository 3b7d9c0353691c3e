"""Writes trades that need more earlier trades folded than a client can wait for."""

from functools import lru_cache

from trimtab.contracts.messages import RecalculationRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.ledger.recalculations import Recalculations
from trimtab.portfolios.ledger.store import DynamoLedger
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, worker


class RecalculationSettings(Settings):
    """What this function is told by its environment."""

    portfolios_table: str
    market_table: str


@lru_cache(maxsize=1)
def recalculations() -> Recalculations:
    """The recalculations, wired to DynamoDB."""
    settings = RecalculationSettings.load()
    return Recalculations(DynamoLedger(dynamodb(), settings.portfolios_table, settings.market_table), utc_now)


def recalculate(message: RecalculationRequested, _: SQSRecord) -> None:
    """Does one recalculation; raising returns it to the queue."""
    job = recalculations().run(message.tenant_id, message.portfolio_id, message.job_id)
    if job is None:
        raise PoisonError(f"no recalculation {message.job_id}")
    count(f"Recalculation{job.status.value.title()}")
    logger.info("recalculated", job_id=job.job_id, status=job.status.value)


handler = worker(RecalculationRequested, recalculate)
