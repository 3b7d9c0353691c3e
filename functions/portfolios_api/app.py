"""Settings, services and parameters of the portfolio routes."""

from functools import lru_cache
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from trimtab.contracts.fields import Identifier, Time
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.import_service import ImportService
from trimtab.portfolios.ledger.service import TradeService
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.service import PortfolioService
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.portfolios.rebalancing.service import RebalanceService
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, Body
from trimtab.runtime.sqs.sender import sqs_client


class ApiSettings(QueueSettings):
    """Environment variables of this function."""

    portfolios_table: str
    market_table: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> ApiSettings:
    """Return the settings, read on first use."""
    return ApiSettings.load()


@lru_cache(maxsize=1)
def portfolios() -> PortfolioService:
    """Return the portfolio service, created once for each execution environment."""
    return PortfolioService(PortfolioStore(dynamodb_client(), settings().portfolios_table), utc_now)


@lru_cache(maxsize=1)
def rebalances() -> RebalanceService:
    """Return the rebalance service, created once for each execution environment."""
    return RebalanceService(RebalanceStore(dynamodb_client(), settings().portfolios_table), _requests(), utc_now)


def _requests() -> WorkerQueues:
    return WorkerQueues(sqs_client(), settings())


def ledger() -> LedgerStore:
    """Return the store of the ledger."""
    return LedgerStore(dynamodb_client(), settings().portfolios_table, settings().market_table)


@lru_cache(maxsize=1)
def trade_service() -> TradeService:
    """Return the service of trades and cash entries."""
    return TradeService(ledger(), _requests(), utc_now)


@lru_cache(maxsize=1)
def import_service() -> ImportService:
    """Return the service of imports."""
    return ImportService(ledger(), _requests(), utc_now)


@lru_cache(maxsize=1)
def holdings_reader() -> HoldingsReader:
    """Return the reader of holdings."""
    return HoldingsReader(ledger(), utc_now)


CSV = "text/csv"
IMPORT, CASH_IMPORT = "/portfolios/{portfolio_id}/trades/import", "/portfolios/{portfolio_id}/cash/import"
_FILE = Body(CSV, 4 * 1024 * 1024)

app = Api(
    auth=lambda: settings().auth,
    bodies={IMPORT: _FILE, CASH_IMPORT: _FILE},
    other_methods={"/portfolios/{portfolio_id}/rebalances": {"POST"}},
)

RefId = Annotated[Identifier, Path(description="The `ref_id` of a trade.")]
JobId = Annotated[Identifier, Path(description="The `job_id` of a recalculation.")]
OfStatus = Annotated[PortfolioStatus | None, Query(alias="status", description="Only portfolios with this status.")]
Attention = Annotated[bool, Query(description="Only portfolios that need a person.")]
IncludeClosed = Annotated[bool, Query(description="Closed portfolios, too; `status=CLOSED` lists only these.")]
UserId = Annotated[Identifier | None, Query(description="Only portfolios of this user.")]
From = Annotated[Time | None, Query(alias="from", description="Only what was executed at or after this time.")]
To = Annotated[Time | None, Query(alias="to", description="Only what was executed before this time.")]
