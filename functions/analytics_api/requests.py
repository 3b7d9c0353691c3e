"""Routes of alert rules, chart links and reports."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from functions.analytics_api.app import (
    READ,
    alert_rules,
    analysis,
    analytics_route,
    app,
    chart_route,
    queues,
    settings,
    signing_key,
    svg_response,
)
from trimtab.analytics.schemas.alert_rules import AlertRulesView, ReplaceAlertRules, alert_rules_view
from trimtab.analytics.schemas.charts import ChartRequest
from trimtab.analytics.schemas.links_and_reports import (
    CreateLink,
    LinkView,
    ReportView,
    RequestReport,
    link_view,
    report_view,
)
from trimtab.analytics.service.bulk_requests import month_before
from trimtab.analytics.service.report_writer import require_past_month
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import IdempotencyKey, PortfolioId
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.links import sign, verify

WRITE = "portfolios:write"
LINK_MINUTES = 15


@app.get("/portfolios/<portfolio_id>/alert-rules", **analytics_route("Read alert rules", READ, AlertRulesView))
def read_alert_rules(portfolio_id: PortfolioId) -> Response[Any]:
    """Read the alert rules of the portfolio, each with its newest episode."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    return json_response(alert_rules_view(alert_rules().read(portfolio)))


@app.put("/portfolios/<portfolio_id>/alert-rules", **analytics_route("Replace alert rules", WRITE, AlertRulesView))
def replace_alert_rules(portfolio_id: PortfolioId, body: ReplaceAlertRules) -> Response[Any]:
    """Replace all alert rules. The portfolio's contacts get one alert each time a measurement leaves its limit."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    return json_response(alert_rules_view(alert_rules().replace(portfolio, body.to_domain())))


@app.post(
    "/portfolios/<portfolio_id>/links",
    **analytics_route("Create a link to a chart", READ, LinkView, HTTPStatus.CREATED),
)
def create_link(portfolio_id: PortfolioId, body: CreateLink, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Create a link to a chart of the portfolio. The link opens in a browser, without a token, for 15 minutes."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    chart = body.to_chart()
    analysis().require_window(portfolio, chart.window)
    bind_key(app, idempotency_key, settings().analytics_table)
    expires_at = (utc_now() + timedelta(minutes=LINK_MINUTES)).replace(microsecond=0)
    names = {"tenant": portfolio.tenant_id, "portfolio": portfolio.portfolio_id}
    token = sign({**names, **chart.to_payload()}, expires_at, signing_key())
    return json_response(link_view(settings().public_url, token, expires_at), HTTPStatus.CREATED)


@app.post(
    "/portfolios/<portfolio_id>/reports",
    **analytics_route("Request a report", WRITE, ReportView, HTTPStatus.ACCEPTED),
)
def request_report(
    portfolio_id: PortfolioId, body: RequestReport, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Send the report of a month to the contacts of the portfolio; each contact gets a month's report once."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    month = body.month or month_before(utc_now().date())
    require_past_month(month, utc_now().date())
    bind_key(app, idempotency_key, settings().analytics_table)
    queues().request_reports([(portfolio.tenant_id, portfolio.portfolio_id)], month)
    return json_response(report_view(portfolio, month), HTTPStatus.ACCEPTED)


@app.get("/links/<token>", **chart_route("Open a link"))
def open_link(token: Annotated[str, Path(max_length=2048, description="The token of a link.")]) -> Response[Any]:
    """Show the chart of a link."""
    payload = verify(token, utc_now(), signing_key())
    caller = Caller(payload["tenant"], frozenset())
    return svg_response(ChartRequest.from_payload(payload).draw(analysis(), caller, payload["portfolio"]))
