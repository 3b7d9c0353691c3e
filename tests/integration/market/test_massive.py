"""Massive as a source of bars, over real HTTP: what it says, and what it does when it is not well."""

import json
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from msgspec import structs
from pydantic import ValidationError

from tests.support.brokers import MARKET_TABLE, broker_tables
from tests.support.massive import FakeMassive, bar, dividend, fake_massive, split
from trimtab.market.adapters import massive as adapter
from trimtab.market.adapters.massive import Massive, connect, parse_key
from trimtab.market.adapters.providers import ProviderSettings, provider_from
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit
from trimtab.market.domain.providers import ProviderFailed
from trimtab.runtime.http_client import CredentialCache, HttpPolicy, circuit_store

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KEY, STRANGE_KEY = (json.dumps({"api_key": key}) for key in ("key-1", "hush"))
DAY = date(2026, 11, 20)
ON = DAY.isoformat()
PATIENT = HttpPolicy(read_seconds=10, max_retry_after_seconds=1.5, backoff_seconds=0.01)
IMPATIENT = structs.replace(PATIENT, read_seconds=0.5)


@pytest.fixture(scope="module")
def tables() -> Iterator["DynamoDBClient"]:
    """The tables: made once, since each test has a circuit of its own in them."""
    with broker_tables() as client:
        yield client


@pytest.fixture
def fake() -> Iterator[FakeMassive]:
    """Run a fake Massive with a bar of AAPL."""
    with fake_massive() as fake:
        fake.bars[ON] = [bar("AAPL", 187.42)]
        yield fake


@pytest.fixture
def massive(fake: FakeMassive, tables: "DynamoDBClient") -> Massive:
    """Return a provider connected to the fake, with an unused circuit."""
    return connected(fake, tables)


def connected(
    fake: FakeMassive, tables: "DynamoDBClient", secret: str = KEY, policy: HttpPolicy = PATIENT, **pace: int
) -> Massive:
    """Return a provider with the secret."""
    ring = CredentialCache(lambda: secret, parse_key)
    store = circuit_store(tables, MARKET_TABLE)
    return connect(fake.url, ring, store, circuit=uuid4().hex, policy=policy, **pace)


def rows(massive: Massive) -> list[ProvidedBar]:
    """The bars of the day."""
    return list(massive.daily_bars(DAY))


def test_bars_are_asked_for_unadjusted_in_one_call_and_read_exactly(fake: FakeMassive, massive: Massive) -> None:
    fake.bars[ON] = [bar("BRK.B", 1.1, o=0.1, h=1.3, v=1.23456789e7, vw=1.23456789012)]
    assert rows(massive) == [
        ProvidedBar(
            "BRK.B",
            open=Decimal("0.1"),
            high=Decimal("1.3"),
            low=Decimal("1.1"),
            close=Decimal("1.1"),
            volume=Decimal("12345678.9"),
            vwap=Decimal("1.234567890"),
        )
    ]
    (method, target, headers, _), (_, dividends, *_) = fake.requests
    assert dividends == f"/v3/reference/dividends?ex_dividend_date={ON}&limit=1000"
    assert (method, target) == ("GET", f"/v2/aggs/grouped/locale/us/market/stocks/{ON}?adjusted=false")
    assert headers["authorization"] == "Bearer key-1"


@pytest.mark.parametrize("value", [None, "12", "x", -1, [1], {}, True, float("nan"), float("inf"), 1e30])
def test_a_number_that_cannot_be_read_is_a_gap_and_not_the_end_of_the_day(
    fake: FakeMassive, massive: Massive, value: Any
) -> None:
    fake.bars[ON] = [bar("AAPL", c=value), bar("MSFT")]
    read = {row.symbol: row.close for row in rows(massive)}
    assert read["MSFT"] == 100
    # A text that writes a number is read as one: the parser leaves numbers as texts.
    assert read["AAPL"] == (Decimal(12) if value == "12" else None)


def test_rows_of_symbols_that_are_none_are_passed_over(fake: FakeMassive, massive: Massive) -> None:
    fake.bars[ON] = [bar("A#B"), bar("\u0410"), bar("A" * 33), {"T": None}, {}, bar("AAPL")]
    assert [row.symbol for row in rows(massive)] == ["AAPL"]


def test_a_day_without_bars_is_no_rows(fake: FakeMassive, massive: Massive) -> None:
    assert list(massive.daily_bars(date(2026, 11, 22))) == []


def test_splits_are_read_page_by_page(fake: FakeMassive, massive: Massive) -> None:
    fake.stocks_split[ON] = [split(f"S{n}", ON, to=n + 2) for n in range(5)]
    fake.page_size = 2
    assert massive.splits(DAY) == [ProvidedSplit(f"S{n}", DAY, Decimal(n + 2), Decimal(1)) for n in range(5)]
    assert len(fake.requests) == 3
    fake.stocks_split[ON] = [split("S", ON, to="x")]
    assert massive.splits(DAY) == [ProvidedSplit("S", DAY, None, Decimal(1))]


def test_dividends_of_the_day_are_part_of_the_bars(fake: FakeMassive, massive: Massive) -> None:
    fake.bars[ON] = [bar("AAPL"), bar("ENB"), bar("MSFT"), bar("XOM")]
    fake.dividends[ON] = [
        dividend("AAPL", ON, 0.26),
        dividend("ENB", ON, 0.8875, "CAD"),
        dividend("XOM", ON, 0.95),
        dividend("XOM", ON, 1.5),
        dividend("MSFT", ON, "x"),
    ]
    fake.page_size = 2
    read = {row.symbol: row.dividend for row in rows(massive)}
    assert read == {"AAPL": Decimal("0.26"), "ENB": None, "MSFT": None, "XOM": Decimal("2.45")}
    fake.dividends[ON] = [dividend("AAPL", "2026-11-19", 1)]
    with pytest.raises(ProviderFailed, match="another day"):
        rows(massive)


def test_the_key_follows_no_page_to_another_host(fake: FakeMassive, massive: Massive) -> None:
    fake.stocks_split[ON] = [split("A", ON), split("B", ON)]
    fake.page_size, fake.next_host = 1, "http://127.0.0.1:9"
    with pytest.raises(ProviderFailed, match="different host"):
        massive.splits(DAY)


def test_pages_have_an_end(fake: FakeMassive, massive: Massive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MAX_PAGES", 3)
    fake.stocks_split[ON] = [split(f"S{n}", ON) for n in range(9)]
    fake.page_size = 1
    with pytest.raises(ProviderFailed, match="pages"):
        massive.splits(DAY)
    assert len(fake.requests) == 3


@pytest.mark.parametrize("kind", ["silence", "reset", 500, 429])
def test_a_call_that_fails_is_repeated(fake: FakeMassive, tables: "DynamoDBClient", kind: int | str) -> None:
    massive = connected(fake, tables, policy=IMPATIENT if kind == "silence" else PATIENT)
    fake.goes_wrong(kind, times=2)
    assert len(rows(massive)) == 1
    assert len(fake.requests) == 4, "bars three times, and dividends once"


def test_it_waits_as_long_as_it_is_asked_to(fake: FakeMassive, massive: Massive) -> None:
    fake.goes_wrong(429, Retry_After="1")
    begun = time.monotonic()
    rows(massive)
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize("kind", ["silence", "reset", "rubbish", 503, 429, 400, 404, 302])
def test_a_call_that_goes_on_failing_fails_the_day(
    fake: FakeMassive, tables: "DynamoDBClient", kind: int | str
) -> None:
    massive = connected(fake, tables, policy=IMPATIENT if kind == "silence" else PATIENT)
    fake.goes_wrong(kind, times=3)
    with pytest.raises(ProviderFailed):
        rows(massive)


@pytest.mark.parametrize("body", [[], "x", {"results": {}}, {"results": [1]}, None])
def test_an_answer_of_another_form_fails_the_day(
    fake: FakeMassive, massive: Massive, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "grouped", lambda *_: (200, body))
    with pytest.raises(ProviderFailed):
        rows(massive)


def test_after_five_failures_nothing_is_sent_for_a_while(fake: FakeMassive, massive: Massive) -> None:
    fake.goes_wrong(500, times=100)
    for _ in range(7):
        with pytest.raises(ProviderFailed):
            rows(massive)
    assert len(fake.requests) == 15


def test_calls_are_spread_over_the_minute(fake: FakeMassive, tables: "DynamoDBClient") -> None:
    paced = connected(fake, tables, calls_per_minute=300)
    begun = time.monotonic()
    for _ in range(4):
        rows(paced)
    assert time.monotonic() - begun >= 0.6


@pytest.mark.parametrize("asked", [{}, {"Retry_After": "0"}])
def test_repeats_are_spread_as_calls_are(fake: FakeMassive, tables: "DynamoDBClient", asked: dict[str, str]) -> None:
    paced = connected(fake, tables, calls_per_minute=300)
    fake.goes_wrong(429, times=2, **asked)
    begun = time.monotonic()
    rows(paced)
    assert time.monotonic() - begun >= 0.4
    rows(paced)
    assert time.monotonic() - begun >= 0.6
    assert len(fake.requests) == 6


def test_a_key_that_is_refused_fails_and_is_never_shown(
    fake: FakeMassive, tables: "DynamoDBClient", capfd: pytest.CaptureFixture[str]
) -> None:
    stranger = connected(fake, tables, STRANGE_KEY)
    with pytest.raises(ProviderFailed, match=r"rejects the credentials .401.: Unknown API Key") as raised:
        rows(stranger)
    assert "hush" not in str(raised.getrepr(showlocals=False)) + "".join(capfd.readouterr()) + repr(
        parse_key(STRANGE_KEY)
    )


@pytest.mark.parametrize("secret", ["hush", "[]", "{}", '{"api_key": 1}', '{"api_key": ""}'])
def test_a_secret_without_a_key_is_told_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="text `api_key`") as raised:
        parse_key(secret)
    assert raised.value.__context__ is None
    assert "hush" not in str(raised.value)


def test_massive_is_configured_by_the_environment(
    fake: FakeMassive, tables: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("secretsmanager").create_secret(Name="massive", SecretString=KEY)
    given = {"BARS_PROVIDER": "massive", "MARKET_TABLE": MARKET_TABLE, "MASSIVE_BASE_URL": fake.url}
    for name, value in (given | {"MASSIVE_SECRET_ID": "massive", "QUOTES_QUEUE_URL": "quotes"}).items():
        monkeypatch.setenv(name, value)
    provider = provider_from(ProviderSettings.load(), tables)
    assert [row.symbol for row in provider.daily_bars(DAY)] == ["AAPL"]
    monkeypatch.delenv("MASSIVE_SECRET_ID")
    with pytest.raises(ValidationError, match="MASSIVE_SECRET_ID"):
        ProviderSettings.load()
    monkeypatch.setenv("BARS_PROVIDER", "file")
    with pytest.raises(ValidationError, match="BARS_PLACE"):
        ProviderSettings.load()
