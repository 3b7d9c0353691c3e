"""The routes of a portfolio's figures and pictures."""

from decimal import Decimal
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.analytics_api.app import (
    READ,
    BenchmarkSymbol,
    Format,
    From,
    PictureTheme,
    To,
    Window,
    analysis,
    analytics_route,
    app,
    json_or_picture,
    wanted,
)
from trimtab.analytics.domain.risk import Terms
from trimtab.analytics.domain.windows import Span
from trimtab.analytics.schemas import charts, figures, standing
from trimtab.charts.svg import Theme
from trimtab.contracts.fields import Percent, Whole
from trimtab.runtime.http.parameters import PortfolioId

Confidence = Annotated[Percent, Query(ge=Decimal("0.5"), le=Decimal("0.999"), description="0.95 is 95 %.")]
Horizon = Annotated[Whole, Query(ge=1, le=60, description="Trading days.")]
RiskFree = Annotated[Percent, Query(gt=-1, lt=1, description="A share a year: 0.03 is 3 %.")]


@app.get("/portfolios/<portfolio_id>/sectors", **analytics_route("Read sectors", READ, standing.SectorsView))
def read_sectors(portfolio_id: PortfolioId, format: Format = None, theme: PictureTheme = Theme.AUTO) -> Response[Any]:
    """Read what part of the portfolio is in which sector, at the newest prices that are known."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    found = analysis().sectors(portfolio)
    return json_or_picture(
        format,
        lambda: standing.sectors_view(portfolio, found),
        lambda: charts.sectors_chart(portfolio, found, theme),
    )


@app.get("/portfolios/<portfolio_id>/performance", **analytics_route("Read performance", READ, figures.PerformanceView))
def read_performance(
    portfolio_id: PortfolioId,
    *,
    window: Window = Span.ONE_YEAR,
    from_: From = None,
    to: To = None,
    benchmark: BenchmarkSymbol = None,
    format: Format = None,
    theme: PictureTheme = Theme.AUTO,
) -> Response[Any]:
    """Read what the portfolio returned over a window: time-weighted, money-weighted and simple."""
    past = analysis().past(analysis().portfolio(app.caller, portfolio_id), wanted(window, from_, to, benchmark))
    return json_or_picture(format, lambda: figures.performance_view(past), lambda: charts.value_chart(past, theme))


@app.get("/portfolios/<portfolio_id>/risk", **analytics_route("Read risk", READ, figures.RiskView))
def read_risk(
    portfolio_id: PortfolioId,
    *,
    window: Window = Span.ONE_YEAR,
    from_: From = None,
    to: To = None,
    benchmark: BenchmarkSymbol = None,
    confidence: Confidence = Decimal("0.95"),
    horizon_days: Horizon = 1,
    risk_free: RiskFree = Decimal(0),
    format: Format = None,
    theme: PictureTheme = Theme.AUTO,
) -> Response[Any]:
    """Read what the portfolio risks, from its daily returns over a window."""
    past = analysis().past(analysis().portfolio(app.caller, portfolio_id), wanted(window, from_, to, benchmark))
    terms = Terms(confidence, horizon_days, risk_free)
    return json_or_picture(
        format, lambda: figures.risk_view(past, past.risk(terms)), lambda: charts.value_chart(past, theme)
    )


@app.get("/portfolios/<portfolio_id>/history", **analytics_route("Read history", READ, figures.HistoryView))
def read_history(
    portfolio_id: PortfolioId,
    *,
    window: Window = Span.ONE_YEAR,
    from_: From = None,
    to: To = None,
    format: Format = None,
    theme: PictureTheme = Theme.AUTO,
) -> Response[Any]:
    """Read the portfolio's daily values over a window."""
    past = analysis().past(analysis().portfolio(app.caller, portfolio_id), wanted(window, from_, to, None))
    return json_or_picture(format, lambda: figures.history_view(past), lambda: charts.value_chart(past, theme))


@app.get("/portfolios/<portfolio_id>/drift", **analytics_route("Read drift", READ, standing.DriftsView))
def read_drift(portfolio_id: PortfolioId, format: Format = None, theme: PictureTheme = Theme.AUTO) -> Response[Any]:
    """Read how far each asset is from its target and from the edges of its band, at the newest prices."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    found = analysis().now(portfolio)
    return json_or_picture(
        format,
        lambda: standing.drifts_view(portfolio, found),
        lambda: charts.drift_chart(portfolio, found, theme),
    )
