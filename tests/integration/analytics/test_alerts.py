"""Alert rules through the real functions: one alert per episode, mailed once to each contact."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.analytics_on_valuation_requested import handler as valuation_function
from tests.support.analytics import ValuedPortfolio, at_time, mailed_addresses, sent_mails, store_bars, trading_days
from tests.support.moto_state import stored_items, waiting
from tests.support.system import PUBLIC_URL, TABLE, System, payload
from trimtab.notifications.adapters.mail import SesMailer
from trimtab.notifications.domain.contacts import MailFailed
from trimtab.portfolios.portfolio.store import PortfolioStore

FIRST, LAST = date(2026, 10, 1), date(2026, 11, 19)
DAYS = trading_days(FIRST, LAST)
ADA, BOB = "ada@example.com", "bob@example.com"


def bars_late_after(day: date) -> datetime:
    """Return 15:00 UTC of the following day: the bars of the day are late by then."""
    return datetime(day.year, day.month, day.day, 15, tzinfo=UTC) + timedelta(days=1)


@pytest.fixture
def past(system: System) -> ValuedPortfolio:
    """Return a portfolio with all of 1,000 in ALFA, with closes of 100."""
    portfolio = ValuedPortfolio(system, system.portfolio("1", {"ALFA": 100}))
    store_bars({"ALFA": dict.fromkeys(DAYS, 100)})
    with at_time(bars_late_after(LAST)):
        portfolio.cash("d", "deposit", 1_000, FIRST)
        portfolio.trade("t", "BUY", "ALFA", 10, 100, FIRST)
        portfolio.quote(bars_late_after(LAST), ALFA=100)
        portfolio.run_workers()
    return portfolio


def set_rules(past: ValuedPortfolio, **kinds: str | None) -> list[Any]:
    """Set rules by kind with their thresholds; return the alerts raised at once."""
    wanted = [
        {"rule_id": kind, "kind": kind, **({"threshold": limit} if limit else {})} for kind, limit in kinds.items()
    ]
    assert past.system.http("PUT", f"{past.path}/alert-rules", {"rules": wanted}).status == 200
    return past.run_workers()


def close_day(past: ValuedPortfolio, day: date, close: Any, *, later: int = 0) -> list[Any]:
    """Store the close of a day (None: no bar), value the day, and return the alerts raised."""
    if close is not None:
        store_bars({"ALFA": {day: close}})
    with at_time(bars_late_after(day) + timedelta(hours=later)):
        past.request_valuation(day)
        return past.run_workers()


def set_contacts(past: ValuedPortfolio, *emails: str) -> None:
    """Set the contacts."""
    assert past.system.http("PUT", f"{past.path}/contacts", {"emails": list(emails)}).status == 200


def test_a_drawdown_raises_one_alert_and_another_after_its_recovery(past: ValuedPortfolio) -> None:
    set_contacts(past, ADA, BOB)
    with at_time(bars_late_after(LAST)):
        assert set_rules(past, drawdown_above="10") == []
    days = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=12))
    raised = [len(close_day(past, day, close)) for day, close in zip(days, (85, 80, 100, 101, 70, 65), strict=False)]
    assert raised == [1, 0, 0, 0, 1, 0]
    assert mailed_addresses() == [ADA, BOB, ADA, BOB]
    first = sent_mails()[0]
    assert first["Subject"] == "default: Drawdown above its limit"
    assert f"Portfolio: {PUBLIC_URL}{past.path}\n" in first.get_content()
    assert "15 %, above the limit of 10 %" in first.get_content()
    (rule,) = past.system.http("GET", f"{past.path}/alert-rules").json["rules"]
    assert (rule["is_on"], rule["episodes"]) == (True, 2)


def test_a_drawdown_that_swings_about_its_limit_is_mailed_once(past: ValuedPortfolio) -> None:
    set_contacts(past, ADA)
    rule = {"rule_id": "fall", "kind": "drawdown_above", "threshold": "10"}
    with at_time(bars_late_after(LAST)):
        for body in ({**rule, "hysteresis": "10"}, {"rule_id": "s", "kind": "stale", "hysteresis": "1"}):
            refused = past.system.http("PUT", f"{past.path}/alert-rules", {"rules": [body]})
            assert (refused.status, refused.json["type"]) == (400, "urn:trimtab:problem:invalid_hysteresis")
        assert past.system.http("PUT", f"{past.path}/alert-rules", {"rules": [rule]}).status == 200
        past.run_workers()
    (day,) = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=1))
    closes = ("89.98", "90.03", "89.98", "90.03", "91", "91.01", "89.98")
    raised = [len(close_day(past, day, close, later=hour)) for hour, close in enumerate(closes)]
    assert raised == [1, 0, 0, 0, 0, 0, 1], "a second alert only after less than 9 %"
    assert mailed_addresses() == [ADA, ADA]
    (shown,) = past.get("alert-rules").json["rules"]
    assert (shown["threshold"], shown["rearm_below"], shown["episodes"]) == ("10", "9", 2)


def test_value_at_risk_is_measured_with_enough_days(past: ValuedPortfolio) -> None:
    store_bars({"ALFA": {day: 100 + 10 * (number % 2) for number, day in enumerate(DAYS)}})
    with at_time(bars_late_after(LAST)):
        past.request_valuation(FIRST)
        (alert,) = set_rules(past, var_above="5")
    assert alert["data"]["rule"] == "var_above"
    assert alert["data"]["details"]["detail"].startswith("one day, historical")


def test_drift_from_the_target_raises_an_alert(past: ValuedPortfolio) -> None:
    with at_time(bars_late_after(LAST)):
        assert set_rules(past, drift_above="20") == []
        body = {"allocation": {"ALFA": 50, "BETA": 50}}
        assert past.system.http("PUT", f"{past.path}/allocation", body).status == 200
    with at_time(bars_late_after(LAST) + timedelta(hours=1)):
        past.quote(bars_late_after(LAST), BETA=10)
        past.request_valuation(LAST)
        (alert,) = past.run_workers()
    assert alert["data"]["details"]["measured"] == "50"


def test_a_rule_that_is_changed_or_set_again_starts_another_episode(past: ValuedPortfolio) -> None:
    alerts = []
    for hour, limit in enumerate(("0.1", "0.2", None, "0.2")):
        with at_time(bars_late_after(LAST) + timedelta(hours=hour)):
            body = {"allocation": {"ALFA": 50, "BETA": 50}}
            assert past.system.http("PUT", f"{past.path}/allocation", body).status == 200
            alerts += set_rules(past, **({"drift_above": limit} if limit else {}))
            if limit == "0.2" and len(alerts) == 2:
                assert past.get("alert-rules").json["rules"][0]["episodes"] == 2
    assert len({alert["data"]["episode"] for alert in alerts}) == len(alerts) == 3


def test_drift_is_measured_at_closes_without_quotes(past: ValuedPortfolio) -> None:
    store_bars({"BETA": dict.fromkeys(DAYS, 100)})
    with at_time(bars_late_after(LAST)):
        other = ValuedPortfolio(past.system, past.system.portfolio("2", {"BETA": 50, "ALFA": 50}))
        other.trade("t", "BUY", "BETA", 10, 100, FIRST)
        other.run_workers()
        (alert,) = set_rules(other, drift_above="20")
    assert alert["data"]["details"]["measured"] == "50"


def test_bars_count_as_missing_only_once_they_are_late(past: ValuedPortfolio) -> None:
    with at_time(bars_late_after(LAST)):
        assert set_rules(past, missing_data=None) == []
    day = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0]
    early = datetime(day.year, day.month, day.day, 1, tzinfo=UTC) + timedelta(days=1)
    with at_time(early):
        past.request_valuation(day)
        assert past.run_workers() == []
    (alert,) = close_day(past, day, None)
    assert "symbols without a close of the last day: ALFA" in alert["data"]["text"]
    assert close_day(past, day, None, later=1) == []
    assert close_day(past, day, 100, later=2) == []
    assert not past.system.http("GET", f"{past.path}/alert-rules").json["rules"][0]["is_on"]


def test_a_failed_night_raises_one_alert_when_its_bars_are_late(past: ValuedPortfolio) -> None:
    with at_time(bars_late_after(LAST)):
        assert set_rules(past, missing_data=None) == []
    day = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0]
    late = datetime(day.year, day.month, day.day, 12, 5, tzinfo=UTC) + timedelta(days=1)
    for minutes, alerts in ((0, 1), (1, 0)):
        with at_time(late + timedelta(minutes=minutes)):
            assert past.system.request_valuations(payload("analytics_on_night/bars_late.json")) == {"valuations": 1}
            assert len(past.run_workers()) == alerts


def test_the_alert_is_stored_in_the_item_of_its_episode(past: ValuedPortfolio) -> None:
    with at_time(bars_late_after(LAST)):
        set_rules(past, drawdown_above="10")
    (alert,) = close_day(past, trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0], 80)
    (item,) = [item for item in stored_items("analytics") if item["sk"]["S"] == "SERIES"]
    assert alert["data"]["episode"] in item["events"]["S"]
    assert alert["data"]["user_id"] == "1"


def test_a_failing_address_does_not_hold_up_the_others_and_is_retried(past: ValuedPortfolio) -> None:
    set_contacts(past, ADA, BOB)
    take, refusing = SesMailer.send, [True]

    def send(self: SesMailer, email: str, message: Any, tags: Any) -> None:
        if email == ADA and refusing:
            raise MailFailed("421 try later")
        take(self, email, message, tags)

    with mock.patch.object(SesMailer, "send", send):
        with at_time(bars_late_after(LAST)):
            set_rules(past, drawdown_above="10")
        day = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0]
        store_bars({"ALFA": {day: 80}})
        with at_time(bars_late_after(day)):
            past.request_valuation(day)
            past.system.process_valuations()
        (event,) = [event for event in past.events() if event["type"] == "alert.raised"]
        for expected in ([BOB], [BOB], [BOB, ADA], [BOB, ADA]):
            failed = past.deliver_alert(event)
            assert mailed_addresses() == expected
            assert bool(failed) is (expected == [BOB])
            if mailed_addresses() == [BOB] and len(past.deliveries) == 2:
                refusing.clear()


def test_a_portfolio_that_becomes_stale_raises_an_alert(past: ValuedPortfolio) -> None:
    with at_time(bars_late_after(LAST)):
        assert set_rules(past, stale=None) == []
    store = PortfolioStore(boto3.client("dynamodb"), TABLE)
    portfolio = store.portfolio("demo", past.portfolio["portfolio_id"])
    assert portfolio is not None
    store.put(portfolio.mark_stale("The broker knows better", bars_late_after(LAST)))
    with at_time(bars_late_after(LAST) + timedelta(hours=1)):
        (alert,) = past.run_workers()
    assert "is stale: no trades and no rebalances" in alert["data"]["text"]
    portfolio = store.portfolio("demo", past.portfolio["portfolio_id"])
    assert portfolio is not None
    store.put(portfolio.resolve(bars_late_after(LAST)))
    with at_time(bars_late_after(LAST) + timedelta(hours=2)):
        assert past.run_workers() == []
    assert not past.system.http("GET", f"{past.path}/alert-rules").json["rules"][0]["is_on"]


def test_without_contacts_no_mail_is_sent(past: ValuedPortfolio) -> None:
    with at_time(bars_late_after(LAST)):
        set_rules(past, drawdown_above="10")
    assert len(close_day(past, trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0], 50)) == 1
    assert mailed_addresses() == []
    assert waiting(past.system.mails_url) == []


def test_a_stored_rule_of_an_unknown_kind_is_skipped_reported_and_kept(past: ValuedPortfolio) -> None:
    """A newer release has stored the rule; this release has been rolled back."""
    unknown = {"M": {"rule_id": {"S": "later"}, "kind": {"S": "volatility_above"}, "threshold": {"S": "5"}}}
    with at_time(bars_late_after(LAST)):
        set_rules(past, drawdown_above="10")
    key = {"pk": {"S": f"T#demo#P#{past.portfolio['portfolio_id']}"}, "sk": {"S": "SERIES"}}
    client = boto3.client("dynamodb")
    client.update_item(
        TableName="analytics",
        Key=key,
        UpdateExpression="SET #r = list_append(#r, :unknown)",
        ExpressionAttributeNames={"#r": "rules"},
        ExpressionAttributeValues={":unknown": {"L": [unknown]}},
    )
    day = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0]
    with mock.patch.object(valuation_function, "count") as count:
        assert len(close_day(past, day, 80)) == 1, "the other rule raises its alert"
    assert mock.call("UnknownAlertKinds", 1) in count.call_args_list
    assert client.get_item(TableName="analytics", Key=key)["Item"]["rules"]["L"][1] == unknown
    assert [rule["rule_id"] for rule in past.get("alert-rules").json["rules"]] == ["drawdown_above"]
