"""Services that need several contexts, wired to the tables of each context; shared by several functions."""

from trimtab.analytics.adapters.series import DynamoSeries
from trimtab.analytics.service.analysis import Analysis
from trimtab.kernel.clock import Clock
from trimtab.market.adapters.bars import DynamoBars
from trimtab.portfolios.ledger.history import LedgerHistory
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.rebalancing.snapshot import Standings
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.settings import Settings


class AnalysisSettings(Settings):
    """The settings of the analytics services."""

    portfolios_table: str
    market_table: str
    analytics_table: str


def analysis(settings: AnalysisSettings, clock: Clock) -> Analysis:
    """The figures of portfolios, out of their ledgers, the market's bars and the stored daily values."""
    client = dynamodb_client()
    ledger = LedgerStore(client, settings.portfolios_table, settings.market_table)
    return Analysis(
        PortfolioStore(client, settings.portfolios_table),
        LedgerHistory(ledger),
        Standings(HoldingsReader(ledger, clock)),
        DynamoBars(client, settings.market_table),
        DynamoSeries(client, settings.analytics_table),
        clock,
    )
