"""Services that read several contexts, wired to the tables of each, for the functions that share them."""

from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.service.alert_evaluator import AlertEvaluator
from trimtab.analytics.service.analysis import Analysis
from trimtab.analytics.service.valuations import Valuations
from trimtab.kernel.clock import Clock
from trimtab.market.adapters.bars import BarStore
from trimtab.portfolios.ledger.history import LedgerHistory
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.rebalancing.snapshot import PortfolioReader
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.settings import Settings


class AnalysisSettings(Settings):
    """Names of the tables that analytics reads."""

    portfolios_table: str
    market_table: str
    analytics_table: str


def analysis(settings: AnalysisSettings, clock: Clock) -> Analysis:
    """Wire the analysis of portfolios."""
    client = dynamodb_client()
    ledger = LedgerStore(client, settings.portfolios_table, settings.market_table)
    return Analysis(
        PortfolioReader(PortfolioStore(client, settings.portfolios_table), HoldingsReader(ledger, clock)),
        LedgerHistory(ledger),
        BarStore(client, settings.market_table),
        SeriesStore(client, settings.analytics_table),
        clock,
    )


def valuations(settings: AnalysisSettings, clock: Clock) -> Valuations:
    """Wire the valuations of portfolios with the evaluation of alert rules."""
    sources = analysis(settings, clock)
    evaluator = AlertEvaluator(sources.store, sources.portfolios, sources.market, clock)
    return Valuations(sources.portfolios, sources.ledger, sources.market, sources.store, evaluator, clock)
