"""No token, address, name or secret in a log: the lines of a day in the life of the platform are searched."""

import io
import json
from datetime import UTC, date, datetime

import pytest

from functions.compat_api import handler as compat_function
from functions.notifications_on_mail_reported import handler as report_function
from tests.support.analytics import ValuedPortfolio, at_time, enter_assets, rising_closes, store_bars, trading_days
from tests.support.betting import insight_body
from tests.support.private_data import private_lines
from tests.support.system import System, authorized, payload, sqs_record
from tests.support.tokens import bad_tokens, bearer, mint, publish
from tests.support.webhooks import create_webhook, delivery_run, log_events, receiving
from trimtab.contracts.events import Event, cloud_event
from trimtab.kernel.clock import utc_now

ADA, BOB, USER = "ada@example.com", "bob@example.com", "grace.hopper@example.org"
NAME = "Retirement of Ada Lovelace"
FIRST, LAST = date(2026, 9, 1), date(2026, 10, 30)
NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)
NAMES = (ADA, BOB, USER, "Lovelace", "Grace Hopper")


def live_a_day(system: System) -> None:
    """Create, trade, value, report and mail, with mail addresses wherever a client may write one."""
    portfolio = ValuedPortfolio(system, system.portfolio(USER, {"ALFA": 50, "BETA": 50}, name=NAME))
    enter_assets(system, {"ALFA": "energy", "BETA": "utilities"})
    store_bars({"ALFA": rising_closes(trading_days(FIRST, LAST), 100, 0.005)})
    with at_time(NOW):
        portfolio.cash("d", "deposit", 10_000, FIRST)
        portfolio.trade("t", "BUY", "ALFA", 50, 100, FIRST)
        portfolio.run_workers()
        system.http("PUT", f"{portfolio.path}/contacts", {"emails": [ADA, BOB]})
        assert system.http("POST", f"{portfolio.path}/reports", {}).status == 202
        system.process_reports()
    report = {"user_id": USER, "name": NAME, "request_id": ADA, "new_allocation": {"ALFA": 60, "BETA": 40}}
    assert system.http("POST", "/rebalance", report).status == 202
    system.drain_queue()
    bet = {"user_id": USER, "market_id": "m1", "selection_id": "home", "side": "BACK", "stake": "10", "odds": "2"}
    assert system.http("POST", "/orders", bet).status == 201
    system.invoke_worker(sqs_record(insight_body()))
    alert = {"rule": "drawdown", "title": "Drawdown", "text": f"{NAME} fell.", "episode": "e1", "name": NAME}
    data = {**alert, "portfolio_id": portfolio.path.rpartition("/")[2], "user_id": USER}
    event = cloud_event(Event("alert.raised", data), id="e1", tenant_id="demo", time=utc_now())
    with receiving() as receiver, delivery_run(system) as run:
        create_webhook(system, receiver.url)
        log_events(system, event)
        run.finish()
        assert len(receiver.requests) == 1
    for record in payload("notifications_on_mail_reported/bounces_and_complaint.json")["Records"]:
        report_function.handler({"Records": [record]}, system.context)


def send_hostile_requests(system: System) -> None:
    """Send bad tokens, and addresses and names where the API refuses them."""
    publish()
    for header in bad_tokens().values():
        headers = {} if header is None else {"Authorization": header}
        assert system.http("GET", "/portfolios", authorizer=None, headers=headers).status == 401
    assert system.http("GET", "/portfolios", authorizer=None, headers=bearer(mint())).status in {200, 403}
    for path in (f"/portfolios/{ADA}", f"/quotes/{ADA}", f"/orders/{USER}", "/portfolios/Grace Hopper/holdings"):
        assert system.http("GET", path).status in {400, 403, 404}
    for body in ({"user_id": f"{USER}\n", "allocation": {NAME: 100}}, {NAME: ADA}, [ADA], f'{{"{NAME}": '):
        assert system.http("POST", "/portfolio", body).status == 400
    assert system.http("POST", "/portfolios", {"user_id": ADA, "allocation": {"a": 1}}).status in {400, 422}
    for body in (
        f'{{"{ADA}"',
        json.dumps({"schema_version": 1, "type": "rebalance.requested", "user_id": USER, NAME: 1}),
    ):
        system.invoke_worker(sqs_record(body))
    event = {"path": "/compat/x", "resource": "/compat/{proxy+}", "httpMethod": "GET", "headers": bearer(mint())}
    event |= {"requestContext": {"authorizer": authorized(), "requestId": "r"}, "pathParameters": {"proxy": ADA}}
    compat_function.handler(event, system.context)


def test_no_log_line_of_a_day_has_a_token_an_address_a_name_or_a_secret(
    system: System, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    live_a_day(system)
    send_hostile_requests(system)
    written = log.getvalue() + capsys.readouterr().out
    assert written.count("\n") > 50, "the functions logged"
    assert private_lines(written.splitlines(), *NAMES) == {}
