"""Figures, charts, an alert and mail of a portfolio with two years of history, on the deployed system."""

import json
import re
import time
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from infra.local import sample_data
from infra.local.client import ApiResponse, Client
from tests.e2e import listening
from tests.e2e.conftest import System
from trimtab.kernel.trading_days import on_or_before

SVG = "image/svg+xml"
FIGURES = ("time_weighted", "money_weighted", "simple", "benchmark", "excess")


@pytest.fixture(scope="module")
def client(system: System) -> Client:
    """Provide a client with a tenant of its own; the system has the assets and bars of the sample."""
    sample_data.load(system.aws("dynamodb"), system.stack.tables["market"], datetime.now(UTC))
    return system.client(tenant=f"analysed-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def path(client: Client) -> str:
    """Provide a portfolio with deposits and trades over two years, valued up to the last day."""
    body = {"user_id": "1", "name": "two-years", "allocation": {"AAPL": 40, "XOM": 30, "JPM": 30}}
    at = f"/portfolios/{expected(client.post('/portfolio', body), 201)['portfolio_id']}"
    for number, days in enumerate((700, 300)):
        deposit = {"ref_id": f"d{number}", "type": "deposit", "amount": "20000", "executed_at": _ago(days)}
        expected(client.post(f"{at}/cash", deposit), 201)
    for number, (symbol, quantity, days) in enumerate((("AAPL", 30, 690), ("XOM", 40, 600), ("JPM", 20, 290))):
        trade = {"ref_id": f"t{number}", "side": "BUY", "security_type": "stock", "symbol": symbol}
        price = {"quantity": quantity, "price": _close(client, symbol, days), "executed_at": _ago(days)}
        expected(client.post(f"{at}/trades", {**trade, **price}), 201)
    last = on_or_before(datetime.now(UTC).date() - timedelta(days=1)).isoformat()

    def is_valued() -> bool:
        days = expected(client.get(f"{at}/history?window=all"), 200)["days"]
        return bool(days) and days[-1]["day"] == last and sum(Decimal(day["flow"]) for day in days) == 40_000

    until(is_valued, "the portfolio is valued from its first day to the last")
    return at


def test_the_sample_has_assets_of_every_sector(client: Client, path: str) -> None:
    energy = expected(client.get("/assets?sector=energy"), 200)["items"]
    assert len(energy) >= 3
    bars = expected(client.get("/assets/AAPL/bars?limit=100"), 200)["items"]
    assert {bar["source"] for bar in bars} == {sample_data.SOURCE}


def test_figures_follow_from_two_years_of_trades(client: Client, path: str) -> None:
    sectors = expected(client.get(f"{path}/sectors"), 200)["sectors"]
    assert {"Information Technology", "Energy", "Financials", "Cash"} == {sector["name"] for sector in sectors}
    assert sum(Decimal(sector["weight"]) for sector in sectors) == 100
    performance = expected(client.get(f"{path}/performance?window=1Y&benchmark=SPY"), 200)
    for name in FIGURES:
        assert Decimal(performance[name]["value"]).is_finite(), name
    assert performance["time_weighted"]["observations"] > 240
    risk = expected(client.get(f"{path}/risk?window=1Y&benchmark=SPY&confidence=0.99&horizon_days=10"), 200)
    assert Decimal(risk["volatility"]["value"]) > 0
    assert Decimal(risk["historical_cvar"]["value"]) >= Decimal(risk["historical_var"]["value"]) > 0
    assert Decimal(risk["beta"]["value"]) > 0
    assert risk["data"]["age_days"] <= 5


def test_drift_is_told_at_the_last_closes_of_the_sample(client: Client, path: str) -> None:
    drift = expected(client.get(f"{path}/drift"), 200)
    legs = {leg["asset"]: leg for leg in drift["assets"]}
    assert {"AAPL", "XOM", "JPM"} <= legs.keys()
    assert sum(Decimal(leg["weight"]) for leg in legs.values()) == 100
    distance = sum((abs(Decimal(leg["drift"])) for leg in legs.values()), Decimal(0))
    assert abs(Decimal(drift["drift"]) - distance / 2) < Decimal("0.0001")
    assert drift["observations"] == 3
    drawn = client.call("GET", f"{path}/drift", headers={"Accept": SVG}).text
    for symbol in ("AAPL", "XOM", "JPM"):
        assert re.search(rf'<rect [^>]*class="(inside|outside)"[^>]*><title>{symbol}: ', drawn), symbol


@pytest.mark.parametrize("resource", ["sectors", "history", "drift"])
def test_a_picture_opens_by_its_link_without_a_token(client: Client, path: str, resource: str) -> None:
    asked = client.call("GET", f"{path}/{resource}?theme=dark", headers={"Accept": SVG})
    assert (asked.status, asked.headers["Content-Type"]) == (200, SVG)
    url = expected(client.post(f"{path}/links", {"resource": resource}), 201)["url"]
    address, _, token = url.rpartition("/")
    opened = Client(address).get(token)
    assert (opened.status, opened.headers["Content-Type"]) == (200, SVG), opened.text
    assert opened.text.startswith("<svg")
    assert Client(address).get(f"{token}x").status == 403


def test_an_alert_reaches_the_topic_and_the_contacts_and_a_report_the_contacts(
    system: System, client: Client, path: str
) -> None:
    address = f"{uuid.uuid4().hex}@example.com"
    expected(client.call("PUT", f"{path}/contacts", {"emails": [address]}), 200)
    with listening.queue(system) as (url, arn):
        topic = next(
            topic["TopicArn"]
            for topic in system.aws("sns").list_topics()["Topics"]
            if topic["TopicArn"].endswith("-alerts")
        )
        subscription = system.aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
        try:
            rule = {"rule_id": "tight", "kind": "var_above", "threshold": "0.01"}
            expected(client.call("PUT", f"{path}/alert-rules", {"rules": [rule]}), 200)
            heard = until(lambda: _heard(system, url, path), "the topic tells of the alert")
        finally:
            system.aws("sns").unsubscribe(SubscriptionArn=subscription)
    assert heard["Subject"].startswith("Trimtab: ")
    assert "rule: tight\n" in heard["Message"]
    assert expected(client.get(f"{path}/alert-rules"), 200)["rules"][0]["is_on"]
    until(lambda: _mails(system, address), "the contact is told of the alert")

    unpriced = {"ref_id": "unpriced", "side": "BUY", "security_type": "stock", "symbol": f"E2E-{uuid.uuid4().hex[:8]}"}
    expected(client.post(f"{path}/trades", {**unpriced, "quantity": 1, "price": 1}), 201)
    month = (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    expected(client.post(f"{path}/reports", {"month": month}), 202)
    until(lambda: len(_mails(system, address)) == 2, "the contact has the report")
    assert any("cid:value" in mail for mail in _mails(system, address))


def expected(answer: ApiResponse, status: int) -> Any:
    """Return the body of an answer after checking its status."""
    assert answer.status == status, answer.text
    return answer.json


def until(found: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Poll until `found` returns a true value, and return the value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.4)
    raise AssertionError(f"not in time: {what}")


def _ago(days: int) -> str:
    return datetime.combine(_day(days), datetime.min.time(), UTC).replace(hour=15).isoformat()


def _day(days: int) -> date:
    return on_or_before(datetime.now(UTC).date() - timedelta(days=days))


def _close(client: Client, symbol: str, days: int) -> str:
    day = _day(days).isoformat()
    (bar,) = expected(client.get(f"/assets/{symbol}/bars?from={day}&to={day}"), 200)["items"]
    return str(bar["close"])


def _heard(system: System, url: str, path: str) -> Any:
    """Return the alert of the portfolio among the received messages, None if there is none; other alerts arrive too."""
    sqs = system.aws("sqs")
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
        alert = json.loads(message["Body"])
        if f"{path}\n" in alert["Message"]:
            return alert
    return None


def _mails(system: System, address: str) -> list[str]:
    """Return the text of every message that the local mail server received for the address."""
    place = "_aws/ses" if system.cloud_name == "localstack" else "_ministack/ses/messages"
    with urllib.request.urlopen(f"{system.stack.endpoint_url}/{place}", timeout=5) as answer:  # noqa: S310 - local
        found = json.load(answer)
    by_account = found["messages"]  # one list, or one for each account
    taken = by_account if isinstance(by_account, list) else [mail for mails in by_account.values() for mail in mails]
    return [text for mail in taken if address in (text := json.dumps(mail))]
