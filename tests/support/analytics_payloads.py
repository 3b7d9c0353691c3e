"""Expected effects of the payloads of analytics and notifications, through the real handlers."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from unittest import mock

from functions.analytics_api import requests as analytics_requests
from functions.analytics_on_night import handler as analytics_night
from functions.notifications_api import handler as notifications_api
from tests.support.analytics import ValuedPortfolio, at_time, mailed_addresses, store_bars
from tests.support.moto_state import waiting
from tests.support.notifications import published_alerts, served_webhook
from tests.support.payloads import http, now, run
from tests.support.system import System, payload


def set_up_valued_portfolio(system: System) -> None:
    """Set up the portfolio that payloads name by id: a deposit of 10,000 and a holding with two days of bars."""
    portfolio = ValuedPortfolio(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50}))
    store_bars({"AAPL": {date(2026, 11, 19): 150, date(2026, 11, 20): 165}, "SPY": {date(2026, 11, 20): 600}})
    portfolio.cash("deposit-1", "deposit", 10_000, date(2026, 11, 19))
    portfolio.trade("broker-4711", "BUY", "AAPL", 10, 150, date(2026, 11, 19))
    portfolio.quote(now(), AAPL=165)
    with at_time(now()):
        portfolio.run_workers()


def answers_with(name: str, *path: Any) -> Callable[[System], Any]:
    """Expect the last element of `path` at the members before, in the answer about the valued portfolio."""

    def check(system: System) -> None:
        set_up_valued_portfolio(system)
        with at_time(now()):
            found = http(f"analytics_api/{name}.json", 200)
        *members, wanted = path
        for member in members:
            found = found[member]
        assert found == wanted

    return check


def answers_with_chart(path: str) -> Callable[[System], Any]:
    """Expect a chart of the valued portfolio."""

    def check(system: System) -> None:
        set_up_valued_portfolio(system)
        with at_time(now()):
            answer = run(path)
        assert (answer["statusCode"], answer["multiValueHeaders"]["Content-Type"]) == (200, ["image/svg+xml"])
        assert "Value of default" in answer["body"]

    return check


def creates_the_link_that_is_opened(system: System) -> None:
    system.portfolio()
    with mock.patch.object(analytics_requests, "utc_now", return_value=datetime(2026, 11, 21, 9, 30, tzinfo=UTC)):
        made = http("analytics_api/create_link.json", 201)
    assert made["expires_at"] == "2026-11-21T09:45:00.000000Z"
    assert made["url"].endswith(payload("analytics_api/open_link.json")["path"])


def keeps_its_rules(system: System) -> None:
    system.portfolio()
    kept = http("analytics_api/replace_alert_rules.json", 200)["rules"]
    assert [rule["rule_id"] for rule in kept] == ["fall", "off-target", "stale", "missing"]
    assert http("analytics_api/read_alert_rules.json", 200)["rules"] == kept
    assert len(waiting(system.valuations_url)) == 1


def keeps_its_contacts(system: System) -> None:
    system.portfolio()
    kept = http("notifications_api/replace_contacts.json", 200)
    assert kept["emails"] == ["ada@example.com", "grace@example.com"]
    assert http("notifications_api/read_contacts.json", 200) == kept


def sends_the_report(system: System) -> None:
    keeps_its_contacts(system)
    assert http("analytics_api/request_report.json", 202)["month"] == "2026-10"
    assert len(waiting(system.reports_url)) == 1
    for _ in range(2):
        assert run("analytics_on_report_requested/report.json") == {"batchItemFailures": []}
    assert mailed_addresses() == ["ada@example.com", "grace@example.com"]


def mails_alerts(system: System) -> None:
    keeps_its_contacts(system)
    for _ in range(2):
        assert run("notifications_on_alert/alerts.json") == {"batchItemFailures": []}
    assert mailed_addresses() == ["ada@example.com", "grace@example.com"]


def publishes_alerts(_: System) -> None:
    path = "notifications_on_operator_alert/alerts.json"
    assert run(path) == {"batchItemFailures": []}
    assert len(published_alerts()) == len(payload(path)["Records"])


def posts_the_alert_and_the_alarm(_: System) -> None:
    with served_webhook() as webhook:
        assert run("notifications_on_alert_published/alert_and_alarm.json") == {"batchItemFailures": []}
    alert, alarm = webhook.texts
    assert "Portfolio &lt;José's growth&gt; is stale" in alert
    assert "mails-dead holds a message." in alarm


def disables_the_addresses(system: System) -> None:
    with mock.patch.object(notifications_api, "utc_now", return_value=datetime(2026, 11, 21, 9, tzinfo=UTC)):
        keeps_its_contacts(system)
    assert run("notifications_on_mail_reported/bounces_and_complaint.json") == {"batchItemFailures": []}
    disabled = http("notifications_api/read_contacts.json", 200)["disabled"]
    assert [each["reason"] for each in disabled] == ["bounce", "complaint"]


def is_valued(system: System) -> None:
    set_up_valued_portfolio(system)
    path = "analytics_on_valuation_requested/batch_with_poison.json"
    with at_time(now()):
        answer = run(path)
    assert answer == {"batchItemFailures": [{"itemIdentifier": payload(path)["Records"][2]["messageId"]}]}


def requests_one_valuation(system: System) -> None:
    path = "analytics_on_portfolio_changed/batch_with_poison.json"
    assert run(path) == {"batchItemFailures": [{"itemIdentifier": payload(path)["Records"][2]["messageId"]}]}
    (message,) = waiting(system.valuations_url)
    assert '"since":"2026-11-19","unless_valued":true' in message.body


def asks_for_every_portfolio(path: str, queue: str, answer: Any) -> Callable[[System], Any]:
    """Expect one message for each of two valued portfolios."""

    def check(system: System) -> None:
        for user in ("1", "2"):
            ValuedPortfolio(system, system.portfolio(user)).run_workers()
        with mock.patch.object(analytics_night, "utc_now", return_value=datetime(2026, 12, 1, 6, tzinfo=UTC)):
            assert run(path) == answer
        assert len(waiting(getattr(system, queue))) == 2

    return check


EXPECTED: dict[str, Callable[[System], Any]] = {
    "analytics_api/request_report.json": sends_the_report,
    "analytics_api/create_link.json": creates_the_link_that_is_opened,
    "analytics_api/open_link.json": answers_with_chart("analytics_api/open_link.json"),
    "analytics_api/read_alert_rules.json": keeps_its_rules,
    "analytics_api/read_drift.json": answers_with("read_drift", "assets", 0, "weight", "83.7438"),
    "analytics_api/read_history.json": answers_with("read_history", "days", 1, "value", "10150.00"),
    "analytics_api/read_history_as_chart.json": answers_with_chart("analytics_api/read_history_as_chart.json"),
    "analytics_api/read_performance.json": answers_with("read_performance", "time_weighted", "value", "1.5000"),
    "analytics_api/read_risk.json": answers_with("read_risk", "horizon_days", 10),
    "analytics_api/read_sectors.json": answers_with("read_sectors", "sectors", 0, "name", "Cash"),
    "analytics_api/replace_alert_rules.json": keeps_its_rules,
    "analytics_on_night/bars_ingested.json": asks_for_every_portfolio(
        "analytics_on_night/bars_ingested.json", "valuations_url", {"valuations": 2}
    ),
    "analytics_on_night/bars_late.json": asks_for_every_portfolio(
        "analytics_on_night/bars_late.json", "valuations_url", {"valuations": 2}
    ),
    "analytics_on_night/first_of_month.json": asks_for_every_portfolio(
        "analytics_on_night/first_of_month.json", "reports_url", {"reports": 2}
    ),
    "analytics_on_night/split_entered.json": asks_for_every_portfolio(
        "analytics_on_night/split_entered.json", "valuations_url", {"valuations": 2}
    ),
    "analytics_on_night/split_withdrawn.json": asks_for_every_portfolio(
        "analytics_on_night/split_withdrawn.json", "valuations_url", {"valuations": 2}
    ),
    "analytics_on_portfolio_changed/batch_with_poison.json": requests_one_valuation,
    "analytics_on_report_requested/report.json": sends_the_report,
    "analytics_on_valuation_requested/batch_with_poison.json": is_valued,
    "notifications_api/read_contacts.json": keeps_its_contacts,
    "notifications_api/replace_contacts.json": keeps_its_contacts,
    "notifications_on_alert/alerts.json": mails_alerts,
    "notifications_on_alert_published/alert_and_alarm.json": posts_the_alert_and_the_alarm,
    "notifications_on_mail_reported/bounces_and_complaint.json": disables_the_addresses,
    "notifications_on_operator_alert/alerts.json": publishes_alerts,
}
