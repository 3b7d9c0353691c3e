"""Routes of a portfolio's figures and charts."""

from decimal import Decimal
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.analytics_api.app import (
    READ,
    BenchmarkSymbol,
    ChartTheme,
    Format,
    From,
    To,
    WindowSpan,
    analysis,
    app,
    chart_route,
    json_or_chart,
)
from trimtab.analytics.domain.risk import RiskParameters
from trimtab.analytics.domain.windows import Span
from trimtab.analytics.schemas import charts, figures, snapshots
from trimtab.analytics.service.analysis import PortfolioHistory, WindowRequest
from trimtab.charts.svg import Theme
from trimtab.contracts.fields import Percent, WholeParameter
from trimtab.runtime.http.parameters import PortfolioId

Confidence = Annotated[
    Percent, Query(ge=Decimal("0.5"), le=Decimal("0.999"), description="The confidence level: 0.95 is 95 %.")
]
Horizon = Annotated[WholeParameter, Query(ge=1, le=60, description="The horizon in trading days.")]
RiskFree = Annotated[Percent, Query(gt=-1, lt=1, description="The risk-free rate per year: 0.03 is 3 %.")]


@app.get("/portfolios/<portfolio_id>/sectors", **chart_route("Read sectors", READ, snapshots.SectorsView))
def read_sectors(portfolio_id: PortfolioId, format: Format = None, theme: ChartTheme = Theme.AUTO) -> Response[Any]:
    """Read the portfolio's value and weight in each sector, at the newest known prices."""
    sectors = analysis().sectors(analysis().snapshot(app.caller, portfolio_id))
    return json_or_chart(format, lambda: snapshots.sectors_view(sectors), lambda: charts.sectors_chart(sectors, theme))


@app.get("/portfolios/<portfolio_id>/drift", **chart_route("Read drift", READ, snapshots.DriftsView))
def read_drift(portfolio_id: PortfolioId, format: Format = None, theme: ChartTheme = Theme.AUTO) -> Response[Any]:
    """Read the drift of each asset from target and the distance from its band, at the newest known prices."""
    snapshot = analysis().snapshot(app.caller, portfolio_id)
    return json_or_chart(format, lambda: snapshots.drifts_view(snapshot), lambda: charts.drift_chart(snapshot, theme))


@app.get("/portfolios/<portfolio_id>/performance", **chart_route("Read performance", READ, figures.PerformanceView))
def read_performance(
    portfolio_id: PortfolioId,
    *,
    window: WindowSpan = Span.ONE_YEAR,
    from_: From = None,
    to: To = None,
    benchmark: BenchmarkSymbol = None,
    format: Format = None,
    theme: ChartTheme = Theme.AUTO,
) -> Response[Any]:
    """Read the portfolio's returns over a window: time-weighted, money-weighted and simple."""
    history = _history(portfolio_id, WindowRequest(window, from_, to, benchmark))
    return json_or_chart(format, lambda: figures.performance_view(history), lambda: charts.value_chart(history, theme))


@app.get("/portfolios/<portfolio_id>/risk", **chart_route("Read risk", READ, figures.RiskView))
def read_risk(
    portfolio_id: PortfolioId,
    *,
    window: WindowSpan = Span.ONE_YEAR,
    from_: From = None,
    to: To = None,
    benchmark: BenchmarkSymbol = None,
    confidence: Confidence = Decimal("0.95"),
    horizon_days: Horizon = 1,
    risk_free: RiskFree = Decimal(0),
    format: Format = None,
    theme: ChartTheme = Theme.AUTO,
) -> Response[Any]:
    """Read the portfolio's risk, from its daily returns over a window."""
    history = _history(portfolio_id, WindowRequest(window, from_, to, benchmark))
    parameters = RiskParameters(confidence, horizon_days, risk_free)
    return json_or_chart(
        format,
        lambda: figures.risk_view(history, history.risk(parameters)),
        lambda: charts.value_chart(history, theme),
    )


@app.get("/portfolios/<portfolio_id>/history", **chart_route("Read history", READ, figures.HistoryView))
def read_history(
    portfolio_id: PortfolioId,
    *,
    window: WindowSpan = Span.ONE_YEAR,
    from_: From = None,
    to: To = None,
    format: Format = None,
    theme: ChartTheme = Theme.AUTO,
) -> Response[Any]:
    """Read the portfolio's daily values over a window."""
    history = _history(portfolio_id, WindowRequest(window, from_, to))
    return json_or_chart(format, lambda: figures.history_view(history), lambda: charts.value_chart(history, theme))


def _history(portfolio_id: str, request: WindowRequest) -> PortfolioHistory:
    return analysis().history(analysis().portfolio(app.caller, portfolio_id), request)
