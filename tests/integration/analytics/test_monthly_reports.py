"""Monthly reports through the real functions: on the first trading day or on request, once to each contact."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.support.analytics import (
    ValuedPortfolio,
    at_time,
    enter_assets,
    mailed_addresses,
    rising_closes,
    sent_mails,
    store_bars,
    trading_days,
)
from tests.support.moto_state import waiting
from tests.support.pictures import read_size
from tests.support.system import PUBLIC_URL, System, payload
from trimtab.charts.svg import WIDTH
from trimtab.kernel.money import to_money

FIRST, LAST = date(2026, 9, 1), date(2026, 10, 30)
DAYS = trading_days(FIRST, LAST)
NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)  # a Monday: the first trading day of November
ADA, BOB = "ada@example.com", "bob@example.com"
SCHEDULE = "analytics_on_night/first_of_month.json"


@pytest.fixture
def past(system: System) -> ValuedPortfolio:
    """Return a portfolio with half of 10,000 in ALFA, rising 0.5 % a day."""
    portfolio = ValuedPortfolio(system, system.portfolio("1", {"ALFA": 50, "BETA": 50}))
    enter_assets(system, {"ALFA": "energy", "BETA": "utilities"})
    store_bars({"ALFA": rising_closes(DAYS, 100, 0.005)})
    with at_time(NOW):
        portfolio.cash("d", "deposit", 10_000, FIRST)
        portfolio.trade("t", "BUY", "ALFA", 50, 100, FIRST)
        portfolio.run_workers()
    assert system.http("PUT", f"{portfolio.path}/contacts", {"emails": [ADA, BOB]}).status == 200
    return portfolio


def request_report(past: ValuedPortfolio, month: str | None = None) -> Any:
    """Request a report and return the answer."""
    with at_time(NOW):
        return past.system.http("POST", f"{past.path}/reports", {"month": month} if month else {})


def run_report_worker(past: ValuedPortfolio) -> None:
    """Run the worker of reports."""
    with at_time(NOW):
        past.system.process_reports()


def test_a_report_has_a_text_part_an_html_part_and_charts(past: ValuedPortfolio) -> None:
    assert request_report(past).json["month"] == "2026-10"
    run_report_worker(past)
    assert mailed_addresses() == [ADA, BOB]
    mail = sent_mails()[0]
    kinds = [part.get_content_type() for part in mail.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", *["image/png"] * 3]
    text, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    opening, closing = (5_000 + 50 * rising_closes(DAYS, 100, 0.005)[day] for day in (date(2026, 9, 30), LAST))
    assert f"{to_money(closing):,.2f}" in text.get_content()
    assert f"{(closing / opening - 1) * 100:.2f}" in text.get_content()
    pictures = {part["Content-ID"].strip("<>"): part for part in mail.walk() if part.get_content_type() == "image/png"}
    assert [part.get_filename() for part in pictures.values()] == ["value.png", "sectors.png", "drift.png"]
    assert {part.get_content_disposition() for part in pictures.values()} == {"inline"}
    for name, part in pictures.items():
        assert f'src="cid:{name}" alt="{name.title()} of ' in page.get_content()
        assert read_size(part.get_content())[0] == 2 * WIDTH


def test_a_report_lists_holdings_and_the_trades_fees_and_income_of_its_month(past: ValuedPortfolio) -> None:
    body = {"side": "SELL", "security_type": "stock", "symbol": "ALFA", "quantity": "2.5", "price": "110"}
    with at_time(NOW):
        for day, fees in (("2026-10-06", "1.25"), ("2026-11-01", "9.99")):
            trade = {**body, "ref_id": day, "fees": fees, "executed_at": f"{day}T18:00:00Z"}
            assert past.system.http("POST", f"{past.path}/trades", trade).status == 201
        past.cash("before", "dividend", "777.77", date(2026, 9, 30))
        for type, amount in (("dividend", "10.40"), ("interest", "0.60"), ("fee", "3.00"), ("tax", "1.56")):
            past.cash(type, type, amount, date(2026, 10, 31))
        past.run_workers()
    request_report(past)
    run_report_worker(past)
    mail = sent_mails()[0]
    assert mail["Subject"] == "default: October 2026"
    text = mail.get_body(("plain",))
    assert text is not None
    lines = [line.split() for line in text.get_content().replace("\u2212", "-").splitlines()]
    assert ["6", "Oct", "2026", "ALFA", "-2.5", "$275.00", "$1.25"] in lines
    assert sum(line[3:4] == ["ALFA"] for line in lines) == 1, "only the trade of October"
    holding = next(line for line in lines if line[:1] == ["ALFA"])
    assert (holding[1], holding[2][0]) == ("45", "$")
    for expected in ("Dividends +$10.40", "Interest +$0.60", "Taxes -$1.56", "Fees of trades -$1.25"):
        assert expected.split() in lines
    assert ["Fees", "of", "the", "account", "-$3.00"] in lines
    assert f"{PUBLIC_URL}{past.path}" in text.get_content()


def test_a_report_names_the_days_that_its_returns_leave_out(past: ValuedPortfolio) -> None:
    with at_time(NOW):
        other = ValuedPortfolio(past.system, past.system.portfolio("3", {"ALFA": 100}))
        other.cash("d", "deposit", 1_000, FIRST)
        other.cash("w", "withdrawal", 1_000, date(2026, 10, 1))
        other.cash("late", "dividend", "10.40", date(2026, 10, 8))
        other.run_workers()
    assert other.system.http("PUT", f"{other.path}/contacts", {"emails": [ADA]}).status == 200
    request_report(other)
    run_report_worker(other)
    text = sent_mails()[0].get_body(("plain",))
    assert text is not None
    note = "The returns leave out gains and losses of days without invested capital: 8 Oct 2026."
    assert note in " ".join(text.get_content().split())


def test_each_contact_gets_the_report_of_a_month_once(past: ValuedPortfolio) -> None:
    first = request_report(past, "2026-10").json
    assert request_report(past, "2026-10").json == first
    run_report_worker(past)
    assert past.system.http("PUT", f"{past.path}/contacts", {"emails": [ADA, BOB, "eve@example.com"]}).status == 200
    request_report(past, "2026-10")
    run_report_worker(past)
    assert mailed_addresses() == [ADA, BOB, "eve@example.com"]
    request_report(past, "2026-09")
    run_report_worker(past)
    assert len(mailed_addresses()) == 6


def test_the_first_trading_day_of_a_month_requests_every_report(past: ValuedPortfolio) -> None:
    with at_time(NOW):
        ValuedPortfolio(past.system, past.system.portfolio("2", {"ALFA": 100})).run_workers()
        for _ in range(2):
            assert past.system.request_valuations(payload(SCHEDULE)) == {"reports": 2}
    run_report_worker(past)
    assert mailed_addresses() == [ADA, BOB]


@pytest.mark.parametrize("days", [-1, 1, 2])
def test_no_report_is_requested_on_another_day(past: ValuedPortfolio, days: int) -> None:
    with at_time(NOW + timedelta(days=days)):
        assert past.system.request_valuations(payload(SCHEDULE)) == {"reports": 0}
    assert waiting(past.system.reports_url) == []


@pytest.mark.parametrize("month", ["2026-12", "2026-11"])
def test_a_month_that_is_not_over_is_refused(past: ValuedPortfolio, month: str) -> None:
    answer = request_report(past, month)
    assert (answer.status, answer.json["type"].rpartition(":")[2]) == (422, "month_ahead")
    with at_time(datetime(2026, 10, 31, 23, tzinfo=UTC)):
        assert past.system.http("POST", f"{past.path}/reports", {"month": "2026-10"}).status == 422
    assert waiting(past.system.reports_url) == []


def test_an_invalid_month_is_refused(past: ValuedPortfolio) -> None:
    with at_time(NOW):
        for month in ("2026-13", "2026", "october", "2026-1", "", "0000-05", "0001-01", "9999-12"):
            assert past.system.http("POST", f"{past.path}/reports", {"month": month}).status == 400, month


def test_without_contacts_no_report_is_sent(past: ValuedPortfolio) -> None:
    assert past.system.http("PUT", f"{past.path}/contacts", {"emails": []}).status == 200
    request_report(past)
    run_report_worker(past)
    assert mailed_addresses() == []
    assert waiting(past.system.reports_url) == []


def test_a_report_of_a_portfolio_without_history_is_sent(past: ValuedPortfolio) -> None:
    other = ValuedPortfolio(past.system, past.system.portfolio("2", {"ALFA": 100}))
    assert past.system.http("PUT", f"{other.path}/contacts", {"emails": [ADA]}).status == 200
    request_report(other)
    run_report_worker(other)
    assert mailed_addresses() == [ADA]


def test_a_month_without_values_has_no_figures_and_names_the_days_of_the_rest(past: ValuedPortfolio) -> None:
    later = datetime(2027, 1, 4, 6, tzinfo=UTC)
    with at_time(later):
        assert past.system.http("POST", f"{past.path}/reports", {"month": "2026-12"}).status == 202
        past.system.process_reports()
    body = sent_mails()[-1].get_body(("plain",))
    assert body is not None
    text = " ".join(body.get_content().split())
    assert "Value: not known yet" in text
    assert "No day of the month is valued yet: the last valued day is 30 Oct" in text
    assert "Holdings, sectors and drift are those of 4 Jan" in text
    assert "%" not in text[text.index("Month") : text.index("Sectors")].partition("Value at risk")[0]


def test_a_report_of_an_unknown_portfolio_is_not_sent(past: ValuedPortfolio) -> None:
    message = payload("analytics_on_report_requested/report.json")
    body = json.loads(message["Records"][0]["body"]) | {"portfolio_id": "nobody"}
    boto3.client("sqs").send_message(QueueUrl=past.system.reports_url, MessageBody=json.dumps(body))
    run_report_worker(past)
    assert mailed_addresses() == []
