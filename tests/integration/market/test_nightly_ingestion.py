"""Nightly ingestions through the real handler: files in the bucket, bars in the table, events on the stream."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.market_on_night import handler as night_function
from functions.market_on_night.handler import NightlyIngestionFailed
from infra.tables import MARKET
from tests.support.analytics import store_bars
from tests.support.faults import FOR_EVER, Crash, CrashAfter, CrashBefore, Fault, Faults, Throttle, injecting
from tests.support.moto_state import commits
from tests.support.system import BARS_BUCKET, MARKET_TABLE, System
from tests.support.trading import FEED
from tests.support.write_units import metering
from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.market.domain.ingested_days import sessions_up_to
from trimtab.market.service.ingestion import Ingestion
from trimtab.runtime.dynamodb.batches import batch_put
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.dynamodb.outbox import events_of

LAST = date(2026, 11, 20)
DAYS = sessions_up_to(LAST)
GOOD = {"AAPL": "100", "MSFT": "200", "XOM": "50"}


@pytest.fixture(autouse=True)
def at_three() -> Iterator[None]:
    """Set the clock to 03:00 UTC after the last day."""
    now = datetime(2026, 11, 21, 3, tzinfo=UTC)
    with mock.patch.object(night_function, "utc_now", return_value=now):
        yield


def enter(*symbols: str) -> None:
    """Store active assets."""
    sectors = list(Sector)
    items = [
        AssetRecord(symbol, symbol, "stock", sectors[number % 11], "USD", "XNAS", True).to_item()
        for number, symbol in enumerate(symbols)
    ]
    batch_put(dynamodb_client(), MARKET_TABLE, items)


def deliver(day: date, closes: Mapping[str, str], form: str = "csv") -> None:
    """Put the file of a day into the bucket; every price of a symbol equals the close."""
    if form == "csv":
        rows = [f"{symbol},{close},{close},{close},{close},10" for symbol, close in closes.items()]
        text = "\n".join(["symbol,open,high,low,close,volume", *rows])
    else:
        text = "\n".join(
            json.dumps({"symbol": symbol, "volume": 10, **dict.fromkeys(("open", "high", "low", "close"), close)})
            for symbol, close in closes.items()
        )
    put_file(f"{day}.{form}", text)


def put_file(name: str, text: str) -> None:
    """Put a file into the bucket."""
    boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{name}", Body=text.encode())


def ready() -> None:
    """Store three assets and the files of ten sessions."""
    enter(*GOOD)
    for day in DAYS:
        deliver(day, GOOD)


def stored() -> list[Any]:
    """Return the items of the market's table."""
    items = boto3.client("dynamodb").scan(TableName=MARKET_TABLE, ConsistentRead=True)["Items"]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def closes(symbol: str) -> dict[str, str]:
    """Return the stored closes of a symbol by day."""
    return {
        item["sk"]["S"][4:]: item["close"]["S"]
        for item in stored()
        if item["pk"]["S"] == f"ASSET#{symbol}" and "close" in item
    }


def told() -> list[Any]:
    """Return the events in the stream of the market's table as CloudEvents."""
    return [event for record in commits(MARKET_TABLE) for event in events_of(record)]


def test_a_night_stores_every_session_and_tells_of_each_once(system: System) -> None:
    ready()
    assert system.run_night() == {"days": 10, "stored": 30, "changed": 0, "rejected": 0}
    before = stored()
    assert closes("AAPL") == {str(day): "100" for day in DAYS}
    assert [(event["type"], event["tenantid"], event["data"]["day"]) for event in told()] == [
        ("bars.ingested", "platform", str(day)) for day in DAYS
    ]
    assert system.run_night() == {"days": 1, "stored": 3, "changed": 0, "rejected": 0}
    assert stored() == before
    assert len(told()) == 10


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_either_form_of_a_file_is_read(system: System, form: str) -> None:
    enter(*GOOD)
    for day in DAYS:
        deliver(day, GOOD, form)
    assert system.run_night()["stored"] == 30


def test_bad_rows_are_not_stored_and_one_alert_tells_of_all_of_them(system: System) -> None:
    ready()
    system.run_night()
    new = {f"S{n:03}": "100" for n in range(60)}
    enter(*GOOD, *new)
    deliver(LAST, {"AAPL": "0", "MSFT": "x", "XOM": "51", **dict.fromkeys(list(new)[:30], "-1")})
    assert system.run_night()["rejected"] > 60
    alert = next(event for event in reversed(told()) if event["type"] == "alert.raised")
    assert alert["tenantid"] == "platform"
    assert alert["data"]["episode"] == "bars-2026-11-20"
    details = alert["data"]["details"]
    assert details == {"day": "2026-11-20", "missing": "30", "unreadable": "1", "not_positive": "31"}
    assert len(alert["data"]["text"]) < 2000
    assert closes("AAPL")[str(LAST)] == "100"
    assert closes("S000") == {}
    assert closes("XOM")[str(LAST)] == "51"
    (revised,) = (item for item in stored() if item.get("revision") == {"N": "2"})
    assert (revised["pk"]["S"], revised["close"]["S"]) == ("ASSET#XOM", "51")


def test_a_split_explains_a_jump_whoever_enters_it(system: System) -> None:
    ready()
    deliver(LAST, {"AAPL": "100", "XOM": "50"})
    system.run_night()
    deliver(LAST, {"AAPL": "25", "MSFT": "20", "XOM": "25"})
    put_file(f"{LAST}.splits.csv", "symbol,ratio,per\nAAPL,4,1\n")
    assert system.http("PUT", f"/assets/MSFT/splits/{LAST}", {"ratio": 10}, authorizer=FEED).status == 200
    assert system.run_night()["rejected"] == 1
    assert [closes(symbol)[str(LAST)] for symbol in GOOD] == ["25", "20", "50"]
    assert told()[-1]["data"]["text"].startswith("Rejected: XOM: close 25 is 50 % away from 50")
    splits = system.http("PUT", f"/assets/AAPL/splits/{LAST}", {"ratio": 4}, authorizer=FEED).json["splits"]
    assert [each["ratio"] for each in splits] == ["4"]


def test_a_split_that_contradicts_another_is_told_and_a_close_against_both_is_rejected(
    system: System,
) -> None:
    ready()
    put_file(f"{LAST}.splits.csv", "symbol,ratio,per\nAAPL,4,1\nMSFT,none,1\nOTHER,2,1\n")
    assert system.http("PUT", f"/assets/AAPL/splits/{LAST}", {"ratio": 3}, authorizer=FEED).status == 200
    assert system.run_night() == {"days": 10, "stored": 29, "changed": 0, "rejected": 3}
    alert = told()[-1]["data"]
    assert alert["details"] == {"day": "2026-11-20", "split": "3"}
    assert "AAPL: close 100 is 200.0000 % away from 33.33" in alert["text"].replace("200 %", "200.0000 %")


def test_a_day_that_is_not_there_fails_the_night_keeps_the_others_and_is_filled_later(system: System) -> None:
    ready()
    s3 = boto3.client("s3")
    for day in (DAYS[3], LAST):
        s3.delete_object(Bucket=BARS_BUCKET, Key=f"daily/{day}.csv")
    with pytest.raises(NightlyIngestionFailed, match=f"{DAYS[3]}: no file of"):
        system.run_night()
    assert len(closes("AAPL")) == 8
    deliver(DAYS[3], GOOD)
    deliver(LAST, GOOD)
    assert system.run_night()["days"] == 2
    assert len(closes("AAPL")) == 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "symbol,price\nAAPL,1",
        '"symbol,open\n',
        'symbol,open,high,low,close,volume\nAAPL,"1',
        "symbol,open,high,low,close,volume\nTSLA,1,1,1,1,1",
        "\u0000",
    ],
)
def test_a_file_of_another_form_fails_its_day_and_no_other(system: System, text: str) -> None:
    ready()
    put_file(f"{DAYS[3]}.csv", text)
    with pytest.raises(NightlyIngestionFailed):
        system.run_night()
    assert set(closes("AAPL")) == {str(day) for day in DAYS} - {str(DAYS[3])}


BAD_LINES = {
    "{": None,
    "[1]": None,
    '{"symbol": "A", "symbol": "B"}': None,
    '{"symbol": "MSFT", "open": NaN}': "MSFT: line 2:",
    '{"symbol": "MSFT", "open": 200, ': "MSFT: line 2: Invalid JSON",
    '{"symbol": "MSFT", "open": "2,700"}': "MSFT: missing or unreadable: open",
}


@pytest.mark.parametrize(("line", "told_text"), BAD_LINES.items())
def test_a_bad_line_costs_its_row_and_not_the_day(system: System, line: str, told_text: str | None) -> None:
    ready()
    boto3.client("s3").delete_object(Bucket=BARS_BUCKET, Key=f"daily/{LAST}.csv")
    deliver(LAST, {"AAPL": "100", "XOM": "50"}, "jsonl")
    good = boto3.client("s3").get_object(Bucket=BARS_BUCKET, Key=f"daily/{LAST}.jsonl")["Body"].read().decode()
    put_file(f"{LAST}.jsonl", "\n".join([good.splitlines()[0], line, good.splitlines()[1]]))
    assert system.run_night() == {"days": 10, "stored": 29, "changed": 0, "rejected": 1}
    assert (closes("AAPL")[str(LAST)], closes("XOM")[str(LAST)]) == ("100", "50")
    assert (told_text or "MSFT: there is no bar") in told()[-1]["data"]["text"]


def test_an_unquoted_thousands_separator_is_a_row_error_and_never_another_price(system: System) -> None:
    ready()
    header = "symbol,open,high,low,close,volume,vwap"
    rows = ["AAPL,2,700,2,700,2,700,600,0", 'MSFT,"1,200.00","1,200.00","1,200.00","1,200.00","10,000",0', "XOM,50,50"]
    for day in DAYS:
        put_file(f"{day}.csv", "\n".join([header, *rows]))
    assert system.run_night() == {"days": 10, "stored": 10, "changed": 0, "rejected": 20}
    assert (closes("AAPL"), closes("XOM")) == ({}, {})
    assert closes("MSFT")[str(LAST)] == "1200"
    text = told()[-1]["data"]["text"]
    assert "AAPL: line 2: The line has 9 cells, and the header has 7." in text
    assert "XOM: line 4: The line has 3 cells, and the header has 7." in text


def test_a_bar_file_may_have_semicolons_and_a_byte_order_mark_and_dividends(system: System) -> None:
    ready()
    put_file(
        f"{LAST}.csv",
        "\ufeffsymbol;close;open;high;low;volume;dividend\r\n"
        "AAPL;100.5;100.5;100.5;100.5;10;0.26\r\nMSFT;1,200;1,200;1,200;1,200;10;\r\nXOM;50;50;50;50;10;0\r\n",
    )
    assert system.run_night()["rejected"] == 1
    assert closes("AAPL")[str(LAST)] == "100.5"
    assert closes("XOM")[str(LAST)] == "50"
    assert str(LAST) not in closes("MSFT"), "1,200 can be read in two ways"
    last = system.http("GET", "/assets/AAPL/bars", authorizer=FEED).json["items"][0]
    assert (last["day"], last["dividend"]) == (str(LAST), "0.26")


@pytest.mark.parametrize(("mark", "closed_at"), [("comma", "2700.5"), (None, None)])
def test_a_decimal_comma_is_read_where_the_settings_say_so(
    system: System, monkeypatch: pytest.MonkeyPatch, mark: str | None, closed_at: str | None
) -> None:
    ready()
    for day in DAYS:
        put_file(f"{day}.csv", "symbol\tclose\topen\thigh\tlow\tvolume\nAAPL" + "\t2.700,50" * 4 + "\t10.000\n")
    if mark:
        monkeypatch.setenv("BARS_DECIMAL", mark)
    system.run_night()
    assert closes("AAPL").get(str(LAST)) == closed_at


def test_a_jump_that_is_refused_is_told_and_the_next_session_at_its_level_too(system: System) -> None:
    ready()
    for day in DAYS[-2:]:
        deliver(day, GOOD | {"AAPL": "1000"})
    assert system.run_night()["rejected"] == 1
    assert str(DAYS[-2]) not in closes("AAPL")
    assert closes("AAPL")[str(LAST)] == "1000"
    assert [event["data"]["details"] for event in told() if event["type"] == "alert.raised"] == [
        {"day": str(DAYS[-2]), "jump": "1"},
        {"day": str(LAST), "new_level": "1"},
    ]


def test_an_asset_that_is_entered_later_gets_the_last_ten_sessions(system: System) -> None:
    ready()
    for day in DAYS:
        deliver(day, GOOD | {"NEW": "7"})
    system.run_night()
    enter(*GOOD, "NEW")
    assert system.run_night()["days"] == 10
    assert len(closes("NEW")) == 10


# Faults -----------------------------------------------------------------------------------------------------------


def one_night_left(system: System) -> None:
    """Everything is stored but the last day, in which there is a split, a correction and something wrong."""
    ready()
    deliver(LAST, {})
    with pytest.raises(NightlyIngestionFailed):
        system.run_night()
    deliver(LAST, GOOD | {"AAPL": "25", "XOM": "0"})
    put_file(f"{LAST}.splits.csv", "symbol,ratio,per\nAAPL,4,1\n")


def undo(before: list[Any]) -> None:
    """Restore the table."""
    client = boto3.client("dynamodb")
    for item in stored():
        client.delete_item(TableName=MARKET_TABLE, Key={name: item[name] for name in ("pk", "sk")})
    for item in before:
        client.put_item(TableName=MARKET_TABLE, Item=item)


def once(system: System, faults: Faults, *some: Fault) -> bool:
    """Run a nightly ingestion under faults; return True if the run completed."""
    faults.set(*some)
    try:
        system.run_night()
    except (Crash, Exception):  # noqa: BLE001 - whatever ends a night
        return False
    finally:
        faults.clear()
    return True


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_a_crash_before_or_after_any_call_is_mended_by_the_next_try(system: System) -> None:
    one_night_left(system)
    before = stored()
    with injecting() as faults:
        assert once(system, faults)
        operations = list(faults.operations)
        with faults.paused():
            whole = stored()
        assert operations.count("BatchWriteItem") == 1
        assert len(told()) == 12, "ten days, a split, an alert"
        # The assets are looked for first, sector by sector: the first of those reads stands for all of them.
        for number in (0, *(n for n, operation in enumerate(operations) if operation != "Query")):
            for kind in (CrashBefore, CrashAfter):
                with faults.paused():
                    undo(before)
                assert not once(system, faults, kind(number))
                assert once(system, faults)
                with faults.paused():
                    assert stored() == whole, (number, kind, operations[number])


def test_a_throttle_that_lasts_fails_the_night_and_a_short_one_does_not(system: System) -> None:
    one_night_left(system)
    with injecting() as faults:
        for number in range(4):
            assert not once(system, faults, Throttle(number, FOR_EVER))
        assert once(system, faults, Throttle(0, 1))


def test_what_a_batch_leaves_undone_is_written_again(system: System) -> None:
    ready()
    client, left = dynamodb_client(), []
    write = client.batch_write_item

    def half(RequestItems: Any) -> Any:  # noqa: N803 - as boto3 names it
        rows = RequestItems[MARKET_TABLE]
        write(RequestItems={MARKET_TABLE: rows[:1]})
        left.append(len(rows) - 1)
        return {"UnprocessedItems": {MARKET_TABLE: rows[1:]}} if rows[1:] else {}

    with mock.patch.object(client, "batch_write_item", half), mock.patch("time.sleep"):
        assert system.run_night()["stored"] == 30
    assert left[:3] == [2, 1, 0]
    assert len(closes("AAPL")) == 10


# Cost ---------------------------------------------------------------------------------------------------------------


@pytest.mark.volume
@pytest.mark.parametrize("amount", [100, 1000])
def test_a_night_of_many_assets_costs_in_proportion(system: System, amount: int) -> None:
    symbols = [f"S{n:04}" for n in range(amount)]
    enter(*symbols)
    for day in DAYS:
        deliver(day, {} if day != LAST else dict.fromkeys(symbols, "100"))
    store_bars({symbol: {DAYS[-2]: 99} for symbol in symbols})
    with mock.patch.object(Ingestion, "run_night", _last_night):
        with injecting() as faults, metering(MARKET) as meter:
            faults.set()
            system.run_night()
            calls = {name: faults.operations.count(name) for name in sorted(set(faults.operations))}
        writes = meter.total
        meter.spent.clear()
        with metering(MARKET) as again:
            system.run_night()
    assert calls["BatchWriteItem"] == amount // 25
    assert calls["BatchGetItem"] <= amount // 50 + 11 + 2 * (amount // 100) + 2
    assert calls["Query"] <= 12 + amount // 100
    assert calls["PutItem"] == 1
    assert writes == amount + 1, "a unit a bar, and one for the mark"
    assert again.total == 0


def _last_night(ingestion: Any) -> Any:
    """The last session alone."""
    return mock.Mock(days=[ingestion.ingest(LAST, ingestion.active_assets()).record], failed=[])
