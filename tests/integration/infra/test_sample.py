"""The sample market data that `make up` loads, and the backfill of bars."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import correlation
from unittest import mock

import pytest
from click.testing import Result
from msgspec.structs import replace

from infra.local import sample_data
from tests.support.faults import injecting
from tests.support.moto_state import commits
from tests.support.operator import Operator
from tests.support.system import MARKET_TABLE, System
from trimtab.contracts.assets import Sector
from trimtab.contracts.bars import Bar
from trimtab.market.adapters.assets import AssetStore
from trimtab.market.adapters.bars import BarStore
from trimtab.market.domain.bars import ProvidedBar, ReferenceData, validate
from trimtab.market.domain.ingested_days import sessions_up_to
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.dynamodb.outbox import events_of

LAST = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def few_days() -> object:
    """Limit the sample to eight sessions instead of two years."""
    with mock.patch.object(sample_data, "SESSIONS", 8), mock.patch.object(sample_data, "FIRST_DAY", date(2026, 9, 1)):
        yield


def test_every_sector_has_assets_and_the_benchmark_has_none() -> None:
    records = {asset.record.symbol: asset.record for asset in sample_data.sample()}
    assert len(records) >= 41
    assert {record.sector for record in records.values()} == {*Sector, None}
    benchmark = records[sample_data.BENCHMARK]
    assert (benchmark.asset_class, benchmark.sector) == ("etf", None)


def test_the_walks_are_the_same_whenever_they_are_made_good_and_move_together() -> None:
    days = dict(sample_data.walk(LAST))
    wanted = set(sessions_up_to(LAST, 5))
    assert dict(sample_data.walk(date(2026, 12, 31), wanted)) == {day: days[day] for day in wanted}
    closes: dict[str, list[float]] = {}
    previous: dict[str, Bar] = {}
    for day in sessions_up_to(LAST, 504):
        for bar in days[day]:
            closes.setdefault(bar.symbol, []).append(float(bar.close))
            row = ProvidedBar(bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap)
            known = ReferenceData(bar, previous.get(bar.symbol))
            assert validate(bar.symbol, day, [row], known, source="x").fault is None
            assert bar.source == "synthetic-sample"
            previous[bar.symbol] = bar
    moves = {symbol: [after / before for before, after in pairwise(prices)] for symbol, prices in closes.items()}
    assert all(0.2 < correlation(moves["SPY"], each) < 0.95 for symbol, each in moves.items() if symbol != "SPY")


def test_loading_again_costs_reads_alone_and_a_night_finds_nothing_new(system: System, few_days: object) -> None:
    assert sample_data.load(dynamodb_client(), MARKET_TABLE, NOW) == 8 * len(sample_data.sample())
    with injecting() as faults:
        assert sample_data.load(dynamodb_client(), MARKET_TABLE, NOW) == 0
        assert set(faults.operations) == {"BatchGetItem"}
    later = datetime(2026, 11, 25, 9, tzinfo=UTC)
    assert sample_data.load(dynamodb_client(), MARKET_TABLE, later) == 2 * len(sample_data.sample())
    assert len(AssetStore(dynamodb_client(), MARKET_TABLE).active_assets()) == len(sample_data.sample())
    name, text = sample_data.newest_file(NOW)
    assert name == "2026-11-20.csv"
    assert text.count("\n") == len(sample_data.sample()) + 1


def backfill(system: System, first: date, last: date, source: str, *options: str) -> Result:
    """Run the backfill command and return its result."""
    days = ("--from", first.isoformat(), "--to", last.isoformat())
    return Operator(system).run("bars", "backfill", *days, "--source", source, *options)


def said(system: System, first: date, last: date, source: str, *options: str) -> str:
    """Run the backfill command and return its output."""
    result = backfill(system, first, last, source, *options)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_backfill_fills_what_is_missing_and_skips_what_is_there(system: System, few_days: object) -> None:
    sample_data.load(dynamodb_client(), MARKET_TABLE, NOW)
    amount = len(sample_data.sample())
    text = said(system, date(2026, 11, 2), LAST, "sample")
    assert f"7 sessions filled, 8 already complete; {7 * amount} bars stored, 0 missing or rejected" in text
    assert "0 sessions filled, 15 already complete" in said(system, date(2026, 11, 2), LAST, "sample")
    told = [event for record in commits(MARKET_TABLE) for event in events_of(record)]
    assert [event["data"] for event in told] == [{"day": "2026-11-02", "stored": amount, "changed": 0}]


def test_a_backfill_corrects_the_bars_of_a_complete_day_where_asked_to(
    system: System, few_days: object, tmp_path: Path
) -> None:
    """The close of AAPL was stored as another number than the source has now."""
    sample_data.load(dynamodb_client(), MARKET_TABLE, NOW)
    day, store = date(2026, 11, 19), BarStore(dynamodb_client(), MARKET_TABLE)
    right = store.bars_of(["AAPL"], [day])["AAPL", day]
    store.put_bars([replace(right, close=right.close + 1, high=right.high + 1)])
    assert "0 sessions filled" in said(system, day, day, "sample")
    text = said(system, day, day, "sample", "--replace")
    assert "1 sessions filled, 0 already complete" in text
    assert "1 of these bars are corrections by the source" in text
    assert store.bars_of(["AAPL"], [day])["AAPL", day] == replace(right, revision=2)
    (told,) = [event for record in commits(MARKET_TABLE) for event in events_of(record)]
    assert (told["type"], told["data"]["day"], told["data"]["changed"]) == ("bars.ingested", "2026-11-19", 1)


def test_a_backfill_from_files_shows_what_is_wrong_and_stops_where_files_end(
    system: System, few_days: object, tmp_path: Path
) -> None:
    sample_data.load(dynamodb_client(), MARKET_TABLE, NOW)
    (tmp_path / "2026-11-09.csv").write_text("symbol,open,high,low,close,volume\nAAPL,1,1,1,1,1\nMSFT,0,1,1,1,1\n")
    text = said(system, date(2026, 11, 9), date(2026, 11, 9), str(tmp_path))
    assert f"1 bars stored, {len(sample_data.sample()) - 1} missing or rejected" in text
    assert "2026-11-09  MSFT: not above zero: open 0" in text
    assert "more" in text
    failed = backfill(system, date(2026, 11, 5), date(2026, 11, 6), str(tmp_path))
    assert failed.exit_code == 1
    assert "repeat the command to continue" in failed.stderr


def test_massive_needs_its_key(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASSIVE_API_KEY", raising=False)
    failed = backfill(system, LAST, LAST, "massive")
    assert failed.exit_code == 1
    assert "MASSIVE_API_KEY" in failed.stderr


def test_the_options_of_a_backfill_and_their_errors(system: System, few_days: object, tmp_path: Path) -> None:
    sample_data.load(dynamodb_client(), MARKET_TABLE, NOW)
    source = str(tmp_path)
    (tmp_path / "2026-11-09.csv").write_text(sample_data.newest_file(NOW)[1])
    (tmp_path / "2026-11-11.csv").write_text("symbol;open;high;low;close;volume\nAAPL;1,5;1,5;1,5;1,5;1\n")
    ninth, tenth, eleventh = (date(2026, 11, day) for day in (9, 10, 11))
    assert "1 sessions filled, 0 already complete" in said(system, ninth, ninth, source)
    said(system, eleventh, eleventh, source, "--replace", "--decimal", "comma", "--accept-jumps")
    assert BarStore(dynamodb_client(), MARKET_TABLE).last_bar("AAPL", eleventh).close == Decimal("1.5")  # type: ignore[union-attr]
    missing = backfill(system, ninth, tenth, source)
    assert (missing.exit_code, "no file of 2026-11-10" in missing.stderr) == (1, True)
    reversed_days = backfill(system, tenth, ninth, source)
    assert (reversed_days.exit_code, "--from must not be after --to" in reversed_days.stderr) == (1, True)
    absent = backfill(system, ninth, tenth, "massive", "--secret", "absent")
    assert (absent.exit_code, "GetSecretValue" in absent.stderr) == (1, True)


def test_the_synthetic_sample_is_not_stored_on_aws(system: System) -> None:
    days = ("--from", "2026-11-20", "--to", "2026-11-20")
    result = Operator(system, endpoint="").run("bars", "backfill", *days, "--source", "sample")
    assert (result.exit_code, "for a local stack only" in result.stderr) == (2, True)
