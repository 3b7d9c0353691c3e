"""The routes of alert rules, links and reports."""

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
    picture,
    settings,
    signing_key,
    work,
)
from trimtab.analytics.schemas import requests, standing
from trimtab.analytics.schemas.charts import picture_of
from trimtab.analytics.service.nights import month_before
from trimtab.analytics.service.reports import require_over
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.runtime.http.parameters import PortfolioId
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.links import sign, verify

WRITE = "portfolios:write"
LINK_MINUTES = 15


@app.get("/portfolios/<portfolio_id>/alert-rules", **analytics_route("Read alert rules", READ, standing.AlertRulesView))
def read_alert_rules(portfolio_id: PortfolioId) -> Response[Any]:
    """Read the alert rules of the portfolio, and whether each is over its threshold now."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    return json_response(standing.alert_rules_view(alert_rules().read(portfolio)))


@app.put(
    "/portfolios/<portfolio_id>/alert-rules", **analytics_route("Replace alert rules", WRITE, standing.AlertRulesView)
)
def replace_alert_rules(portfolio_id: PortfolioId, body: standing.ReplaceAlertRules) -> Response[Any]:
    """Say what the portfolio's contacts are told about: one alert for each time that something leaves its limit."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    return json_response(standing.alert_rules_view(alert_rules().replace(portfolio, body.to_domain())))


@app.post(
    "/portfolios/<portfolio_id>/links",
    **analytics_route("Make a link to a picture", READ, standing.LinkView, HTTPStatus.CREATED),
)
def make_link(portfolio_id: PortfolioId, body: requests.MakeLink) -> Response[Any]:
    """Make a link to a picture of the portfolio: for 15 minutes it opens in a browser, without a token."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    wanted = body.to_picture()
    analysis().require_window(portfolio, wanted.wanted)
    expires_at = (utc_now() + timedelta(minutes=LINK_MINUTES)).replace(microsecond=0)
    named = {"tenant": portfolio.tenant_id, "portfolio": portfolio.portfolio_id}
    token = sign({**named, **wanted.to_payload()}, expires_at, signing_key())
    return json_response(requests.link_view(settings().public_url, token, expires_at), HTTPStatus.CREATED)


@app.post(
    "/portfolios/<portfolio_id>/reports",
    **analytics_route("Ask for a report", WRITE, requests.ReportView, HTTPStatus.ACCEPTED),
)
def ask_for_report(portfolio_id: PortfolioId, body: requests.AskForReport) -> Response[Any]:
    """Send the report of a month to the contacts of the portfolio; those who have had it get no other."""
    portfolio = analysis().portfolio(app.caller, portfolio_id)
    month = body.month or month_before(utc_now().date())
    require_over(month, utc_now().date())
    work().report(iter([(portfolio.tenant_id, portfolio.portfolio_id)]), month)
    return json_response(requests.report_view(portfolio, month), HTTPStatus.ACCEPTED)


@app.get("/links/<token>", **analytics_route("Open a link"))
def open_link(token: Annotated[str, Path(max_length=2048, description="What `links` answered.")]) -> Response[Any]:
    """Show the picture that the link was made for."""
    payload = verify(token, utc_now(), signing_key())
    whoever = Caller(payload["tenant"], frozenset())
    return picture(picture_of(payload).draw(analysis(), analysis().portfolio(whoever, payload["portfolio"])))
