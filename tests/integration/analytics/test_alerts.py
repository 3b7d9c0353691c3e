"""Alert rules through the real functions: one alert for each episode, told once to each contact."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
import pytest

from tests.support.analytics import Past, at, mails, sent_mails, store_bars, trading_days
from tests.support.moto_state import stored_items, waiting
from tests.support.system import TABLE, System, payload
from trimtab.notifications.adapters import SesMailer
from trimtab.notifications.service import MailRefused
from trimtab.portfolios.portfolio.store import PortfolioStore

FIRST, LAST = date(2026, 10, 1), date(2026, 11, 19)
DAYS = trading_days(FIRST, LAST)
ADA, BOB = "ada@example.com", "bob@example.com"


def noon(day: date) -> datetime:
    """Two days after a day at noon: its bars can come no more."""
    return datetime(day.year, day.month, day.day, 15, tzinfo=UTC) + timedelta(days=1)


@pytest.fixture
def past(system: System) -> Past:
    """All of a thousand in ALFA, which stands at 100."""
    it = Past(system, system.portfolio("1", {"ALFA": 100}))
    store_bars({"ALFA": dict.fromkeys(DAYS, 100)})
    with at(noon(LAST)):
        it.cash("d", "deposit", 1_000, FIRST)
        it.trade("t", "BUY", "ALFA", 10, 100, FIRST)
        it.quote(noon(LAST), ALFA=100)
        it.settle()
    return it


def rules(past: Past, **kinds: str | None) -> list[Any]:
    """Sets rules of these kinds with their thresholds; the alerts that follow at once."""
    wanted = [
        {"rule_id": kind, "kind": kind, **({"threshold": limit} if limit else {})} for kind, limit in kinds.items()
    ]
    assert past.system.http("PUT", f"{past.home}/alert-rules", {"rules": wanted}).status == 200
    return past.settle()


def night(past: Past, day: date, close: Any, *, later: int = 0) -> list[Any]:
    """The alerts of the night after a day that closed so; None is a night without bars."""
    if close is not None:
        store_bars({"ALFA": {day: close}})
    with at(noon(day) + timedelta(hours=later)):
        past.ask(day)
        return past.settle()


def contacts(past: Past, *emails: str) -> None:
    """Sets the contacts."""
    assert past.system.http("PUT", f"{past.home}/contacts", {"emails": list(emails)}).status == 200


def test_a_drawdown_is_told_once_and_again_after_it_was_made_good(past: Past) -> None:
    contacts(past, ADA, BOB)
    with at(noon(LAST)):
        assert rules(past, drawdown_above="10") == []
    days = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=12))
    told = [len(night(past, day, close)) for day, close in zip(days, (85, 80, 100, 101, 70, 65), strict=False)]
    assert told == [1, 0, 0, 0, 1, 0]
    assert sent_mails() == [ADA, BOB, ADA, BOB]
    first = mails()[0]
    assert first["Subject"] == "Drawdown above its limit"
    assert "15 %, more than 10 %" in first.get_content()
    (rule,) = past.system.http("GET", f"{past.home}/alert-rules").json["rules"]
    assert (rule["is_on"], rule["episodes"]) == (True, 2)


def test_value_at_risk_is_measured_once_there_are_days_enough(past: Past) -> None:
    store_bars({"ALFA": {day: 100 + 10 * (number % 2) for number, day in enumerate(DAYS)}})
    with at(noon(LAST)):
        past.ask(FIRST)
        (alert,) = rules(past, var_above="5")
    assert alert["data"]["rule"] == "var_above"
    assert alert["data"]["facts"]["detail"].startswith("one day, historical")


def test_drift_from_the_target_is_told(past: Past) -> None:
    with at(noon(LAST)):
        assert rules(past, drift_above="20") == []
        body = {"allocation": {"ALFA": 50, "BETA": 50}}
        assert past.system.http("PUT", f"{past.home}/allocation", body).status == 200
    with at(noon(LAST) + timedelta(hours=1)):
        past.quote(noon(LAST), BETA=10)
        past.ask(LAST)
        (alert,) = past.settle()
    assert alert["data"]["facts"]["measured"] == "50"


def test_a_rule_that_is_changed_or_set_again_tells_of_another_episode(past: Past) -> None:
    alerts = []
    for hour, limit in enumerate(("0.1", "0.2", None, "0.2")):
        with at(noon(LAST) + timedelta(hours=hour)):
            body = {"allocation": {"ALFA": 50, "BETA": 50}}
            assert past.system.http("PUT", f"{past.home}/allocation", body).status == 200
            alerts += rules(past, **({"drift_above": limit} if limit else {}))
            if limit == "0.2" and len(alerts) == 2:
                assert past.get("alert-rules").json["rules"][0]["episodes"] == 2
    assert len({alert["data"]["episode"] for alert in alerts}) == len(alerts) == 3


def test_drift_is_measured_at_closes_where_nobody_quotes(past: Past) -> None:
    store_bars({"BETA": dict.fromkeys(DAYS, 100)})
    with at(noon(LAST)):
        it = Past(past.system, past.system.portfolio("2", {"BETA": 50, "ALFA": 50}))
        it.trade("t", "BUY", "BETA", 10, 100, FIRST)
        it.settle()
        (alert,) = rules(it, drift_above="20")
    assert alert["data"]["facts"]["measured"] == "50"


def test_bars_that_are_still_to_come_are_not_missing_and_bars_that_did_not_come_are(past: Past) -> None:
    with at(noon(LAST)):
        assert rules(past, missing_data=None) == []
    day = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0]
    early = datetime(day.year, day.month, day.day, 1, tzinfo=UTC) + timedelta(days=1)
    with at(early):
        past.ask(day)
        assert past.settle() == []
    (alert,) = night(past, day, None)
    assert "symbols without a price of the last day: ALFA" in alert["data"]["text"]
    assert night(past, day, None, later=1) == []
    assert night(past, day, 100, later=2) == []
    assert not past.system.http("GET", f"{past.home}/alert-rules").json["rules"][0]["is_on"]


def test_a_night_that_failed_is_told_of_once_its_bars_are_late(past: Past) -> None:
    with at(noon(LAST)):
        assert rules(past, missing_data=None) == []
    day = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0]
    late = datetime(day.year, day.month, day.day, 12, 5, tzinfo=UTC) + timedelta(days=1)
    for minutes, alerts in ((0, 1), (1, 0)):
        with at(late + timedelta(minutes=minutes)):
            assert past.system.after_night(payload("analytics_on_night/bars_late.json")) == {"valuations": 1}
            assert len(past.settle()) == alerts


def test_the_alert_stands_on_the_item_whose_write_began_the_episode(past: Past) -> None:
    with at(noon(LAST)):
        rules(past, drawdown_above="10")
    (alert,) = night(past, trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0], 80)
    (item,) = [it for it in stored_items("analytics") if it["sk"]["S"] == "SERIES"]
    assert alert["data"]["episode"] in item["events"]["S"]
    assert alert["data"]["user_id"] == "1"


def test_a_contact_that_is_refused_holds_no_other_up_and_is_tried_again(past: Past) -> None:
    contacts(past, ADA, BOB)
    take, refusing = SesMailer.send, [True]

    def send(self: SesMailer, email: str, message: Any) -> None:
        if email == ADA and refusing:
            raise MailRefused("421 try later")
        take(self, email, message)

    with mock.patch.object(SesMailer, "send", send):
        with at(noon(LAST)):
            rules(past, drawdown_above="10")
        day = trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0]
        store_bars({"ALFA": {day: 80}})
        with at(noon(day)):
            past.ask(day)
            past.system.value()
        (event,) = [it for it in past.events() if it["type"] == "alert.raised"]
        for expected in ([BOB], [BOB], [BOB, ADA], [BOB, ADA]):
            failed = past.tell(event)
            assert sent_mails() == expected
            assert bool(failed) is (expected == [BOB])
            if sent_mails() == [BOB] and len(past.tries) == 2:
                refusing.clear()


def test_a_portfolio_that_becomes_stale_is_told_by_its_own_event(past: Past) -> None:
    with at(noon(LAST)):
        assert rules(past, stale=None) == []
    store = PortfolioStore(boto3.client("dynamodb"), TABLE)
    portfolio = store.portfolio("demo", past.portfolio["portfolio_id"])
    assert portfolio is not None
    store.put(portfolio.stale("The broker knows better", noon(LAST)))
    with at(noon(LAST) + timedelta(hours=1)):
        (alert,) = past.settle()
    assert "is stale: it is neither traded nor rebalanced" in alert["data"]["text"]
    portfolio = store.portfolio("demo", past.portfolio["portfolio_id"])
    assert portfolio is not None
    store.put(portfolio.resolved(noon(LAST)))
    with at(noon(LAST) + timedelta(hours=2)):
        assert past.settle() == []
    assert not past.system.http("GET", f"{past.home}/alert-rules").json["rules"][0]["is_on"]


def test_without_contacts_nobody_is_told(past: Past) -> None:
    with at(noon(LAST)):
        rules(past, drawdown_above="10")
    assert len(night(past, trading_days(LAST + timedelta(days=1), LAST + timedelta(days=5))[0], 50)) == 1
    assert sent_mails() == []
    assert waiting(past.system.mails_url) == []


@pytest.mark.parametrize(
    "emails",
    [
        *(["ada"], ["ada@"], ["a b@example.com"], ["ada@example.com\nBcc: x@y.z"], ["a@b"], [5], "ada@example.com"),
        [f"a{number}@example.com" for number in range(11)],
    ],
)
def test_bad_addresses_are_refused(system: System, emails: Any) -> None:
    home = f"/portfolios/{system.portfolio()['portfolio_id']}/contacts"
    assert system.http("PUT", home, {"emails": emails}).status == 400
    assert system.http("GET", home).json["emails"] == []
