"""Monthly reports through the real functions: on the first trading day, or when asked for, once to each contact."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.support.analytics import Past, at, enter_assets, mails, rising, sent_mails, store_bars, trading_days
from tests.support.moto_state import waiting
from tests.support.system import System, payload
from trimtab.kernel.money import to_money

FIRST, LAST = date(2026, 9, 1), date(2026, 10, 30)
DAYS = trading_days(FIRST, LAST)
NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)  # a Monday: the first trading day of November
ADA, BOB = "ada@example.com", "bob@example.com"
SCHEDULE = "analytics_on_night/first_of_month.json"


@pytest.fixture
def past(system: System) -> Past:
    """Half of ten thousand in ALFA, which rises 0.5 % a day."""
    it = Past(system, system.portfolio("1", {"ALFA": 50, "BETA": 50}))
    enter_assets(system, {"ALFA": "energy", "BETA": "utilities"})
    store_bars({"ALFA": rising(DAYS, 100, 0.005)})
    with at(NOW):
        it.cash("d", "deposit", 10_000, FIRST)
        it.trade("t", "BUY", "ALFA", 50, 100, FIRST)
        it.settle()
    assert system.http("PUT", f"{it.home}/contacts", {"emails": [ADA, BOB]}).status == 200
    return it


def ask(past: Past, month: str | None = None) -> Any:
    """The answer to being asked for a report."""
    with at(NOW):
        return past.system.http("POST", f"{past.home}/reports", {"month": month} if month else {})


def write(past: Past) -> None:
    """Lets the worker write."""
    with at(NOW):
        past.system.report()


def test_a_report_has_words_a_page_and_pictures(past: Past) -> None:
    assert ask(past).json["month"] == "2026-10"
    write(past)
    assert sent_mails() == [ADA, BOB]
    mail = mails()[0]
    kinds = [part.get_content_type() for part in mail.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", *["image/svg+xml"] * 3]
    text, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    opening, closing = (5_000 + 50 * rising(DAYS, 100, 0.005)[day] for day in (date(2026, 9, 30), LAST))
    assert f"{to_money(closing):,.2f}" in text.get_content()
    assert f"{(closing / opening - 1) * 100:.2f}" in text.get_content()
    names = [part["Content-ID"].strip("<>") for part in mail.walk() if part.get_content_type() == "image/svg+xml"]
    assert names == ["value", "sectors", "drift"]
    assert all(f"cid:{name}" in page.get_content() for name in names)


def test_each_contact_gets_the_report_of_a_month_once(past: Past) -> None:
    first = ask(past, "2026-10").json
    assert ask(past, "2026-10").json == first
    write(past)
    assert past.system.http("PUT", f"{past.home}/contacts", {"emails": [ADA, BOB, "eve@example.com"]}).status == 200
    ask(past, "2026-10")
    write(past)
    assert sent_mails() == [ADA, BOB, "eve@example.com"]
    ask(past, "2026-09")
    write(past)
    assert len(sent_mails()) == 6


def test_the_first_trading_day_of_a_month_asks_for_every_portfolio(past: Past) -> None:
    with at(NOW):
        Past(past.system, past.system.portfolio("2", {"ALFA": 100})).settle()
        for _ in range(2):
            assert past.system.after_night(payload(SCHEDULE)) == {"reports": 2}
    write(past)
    assert sent_mails() == [ADA, BOB]


@pytest.mark.parametrize("days", [-1, 1, 2])
def test_no_other_day_does(past: Past, days: int) -> None:
    with at(NOW + timedelta(days=days)):
        assert past.system.after_night(payload(SCHEDULE)) == {"reports": 0}
    assert waiting(past.system.reports_url) == []


@pytest.mark.parametrize("month", ["2026-12", "2026-11"])
def test_a_month_that_is_not_over_is_refused(past: Past, month: str) -> None:
    answer = ask(past, month)
    assert (answer.status, answer.json["type"].rpartition(":")[2]) == (422, "month_ahead")
    with at(datetime(2026, 10, 31, 23, tzinfo=UTC)):
        assert past.system.http("POST", f"{past.home}/reports", {"month": "2026-10"}).status == 422
    assert waiting(past.system.reports_url) == []


def test_what_is_no_month_is_refused(past: Past) -> None:
    with at(NOW):
        for month in ("2026-13", "2026", "october", "2026-1", "", "0000-05", "0001-01", "9999-12"):
            assert past.system.http("POST", f"{past.home}/reports", {"month": month}).status == 400, month


def test_nobody_is_written_to_without_contacts(past: Past) -> None:
    assert past.system.http("PUT", f"{past.home}/contacts", {"emails": []}).status == 200
    ask(past)
    write(past)
    assert sent_mails() == []
    assert waiting(past.system.reports_url) == []


def test_a_report_of_a_portfolio_without_a_past_is_sent_all_the_same(past: Past) -> None:
    other = Past(past.system, past.system.portfolio("2", {"ALFA": 100}))
    assert past.system.http("PUT", f"{other.home}/contacts", {"emails": [ADA]}).status == 200
    ask(other)
    write(other)
    assert sent_mails() == [ADA]


def test_of_a_month_without_any_value_nothing_is_told_and_of_what_day_the_rest_is(past: Past) -> None:
    later = datetime(2027, 1, 4, 6, tzinfo=UTC)
    with at(later):
        assert past.system.http("POST", f"{past.home}/reports", {"month": "2026-12"}).status == 202
        past.system.report()
    body = mails()[-1].get_body(("plain",))
    assert body is not None
    text = " ".join(body.get_content().split())
    assert "Value: not known yet" in text
    assert "No day of the month is valued yet: the last one is 30 Oct" in text
    assert "Sectors and drift are those of 4 Jan" in text
    assert "%" not in text[text.index("Month") : text.index("Sectors")].partition("Value at risk")[0]


def test_a_report_of_an_unknown_portfolio_is_returned(past: Past) -> None:
    message = payload("analytics_on_report_requested/report.json")
    body = json.loads(message["Records"][0]["body"]) | {"portfolio_id": "nobody"}
    boto3.client("sqs").send_message(QueueUrl=past.system.reports_url, MessageBody=json.dumps(body))
    write(past)
    assert sent_mails() == []
