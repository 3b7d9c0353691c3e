"""Execute planned rebalances from the queue `rebalance-executions` through the broker."""

from functools import lru_cache

from trimtab.contracts.messages import ExecutionRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.execution.brokers import BrokerSettings, broker_from
from trimtab.portfolios.execution.waiting import RetryLimits
from trimtab.portfolios.execution.wiring import StoreSettings, rebalance_stores
from trimtab.portfolios.execution.worker import ExecutionWorker, LeaseLost
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS, BrakeLimits
from trimtab.runtime import tracing
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, worker


class ExecutionSettings(StoreSettings, BrokerSettings):
    """Environment of the function; times are in seconds."""

    lease_seconds: int
    order_seconds: int = 300
    reversal_seconds: int = 30
    halt_seconds: int = 60
    backoff_seconds: int = DEFAULT_LIMITS.backoff_seconds
    max_backoff_seconds: int = DEFAULT_LIMITS.max_backoff_seconds
    quarantine_seconds: int = DEFAULT_LIMITS.quarantine_seconds
    threads: int = 8

    @property
    def limits(self) -> RetryLimits:
        """Limits of an execution, and of the brake after one."""
        brake = BrakeLimits(self.backoff_seconds, self.max_backoff_seconds, self.quarantine_seconds)
        return RetryLimits(self.order_seconds, self.reversal_seconds, self.halt_seconds, brake=brake)


@lru_cache(maxsize=1)
def execution_worker() -> ExecutionWorker:
    """Return the worker, wired to DynamoDB, SQS and the broker. It sends up to `threads` orders at the same time."""
    settings = ExecutionSettings.load()
    stores = rebalance_stores(settings)
    return ExecutionWorker(
        stores.rebalances,
        stores.ledger,
        broker_from(settings, dynamodb_client(), utc_now),
        stores.halts,
        stores.queues,
        utc_now,
        settings.lease_seconds,
        settings.limits,
        tracing.parallel_map(settings.threads),
        count,
        _log_broker_error,
        terms=settings.terms,
        reserve_messages=stores.controls.reserve_messages,
    )


def _log_broker_error(error: Exception) -> None:
    logger.error("broker raised an unexpected exception", exc_info=error)


def execute(message: ExecutionRequested, _: SQSRecord) -> None:
    """Advance the rebalance of one message; an exception returns the message to the queue."""
    try:
        rebalance = execution_worker().run(message.tenant_id, message.portfolio_id, message.rebalance_id)
    except LeaseLost:
        logger.info("lease lost to another worker", rebalance_id=message.rebalance_id)
        return
    if rebalance is None:
        raise PoisonError(f"no execution of a rebalance {message.rebalance_id}")
    if not rebalance.is_open:
        count(f"Rebalance{rebalance.status.value.title().replace('_', '')}")
    logger.info("execution advanced", rebalance_id=rebalance.rebalance_id, status=rebalance.status.value)


handler = worker(ExecutionRequested, execute)
