"""Synthetic daily bars of well-known assets; the source of every bar is `synthetic-sample`.

The bars are deterministic: all random walks start in January 2020 from fixed seeds. The daily return of an asset is the
sum of a market return, a sector return and a return of the asset.
"""

import json
import math
import random
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.contracts.bars import NUMBERS, Bar
from trimtab.kernel.money import plain
from trimtab.market.adapters.bars import BarStore
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit
from trimtab.market.domain.ingested_days import record_day, sessions_between, sessions_up_to
from trimtab.runtime.dynamodb.batches import batch_put

SOURCE = "synthetic-sample"
BENCHMARK = "SPY"
SESSIONS = 504
FIRST_DAY = date(2020, 1, 2)
_SEED = "trimtab sample 1"
_ASSETS = Path(__file__).with_name("assets.json")
_THREADS = 8
_MARKET, _SECTOR, _OWN = 0.008, 0.005, 0.009
"""Standard deviations of the three daily returns, as fractions of the price."""
_GROWTH, _PULL, _PRICED_AFTER = 0.0003, 0.002, 1500
"""Daily growth of the expected price, daily pull towards the expected price (both as fractions), and the number of
sessions after which the expected price equals the price in `assets.json`."""


@dataclass(frozen=True)
class Sample:
    """An asset of the sample and the mean of the price."""

    record: AssetRecord
    price: float


@cache
def sample() -> tuple[Sample, ...]:
    """Return all assets of the sample: at least three of every sector, and a fund of the whole market."""
    return tuple(
        Sample(
            AssetRecord(
                symbol=row["symbol"],
                name=row["name"],
                asset_class=row["asset_class"],
                sector=Sector(row["sector"]) if row["sector"] else None,
                currency="USD",
                exchange=row["exchange"],
                active=True,
                version=1,
            ),
            float(row["price"]),
        )
        for row in json.loads(_ASSETS.read_text())
    )


def walk(last: date, wanted: Container[date] | None = None) -> Iterator[tuple[date, list[Bar]]]:
    """Yield the bars of all assets for each wanted session up to `last` (None: for all sessions), oldest first."""
    shared = random.Random(f"{_SEED} market")  # noqa: S311 - the numbers must be repeatable
    own = {asset.record.symbol: random.Random(f"{_SEED} {asset.record.symbol}") for asset in sample()}  # noqa: S311
    closes = {asset.record.symbol: asset.price * math.exp(-_GROWTH * _PRICED_AFTER) for asset in sample()}
    for number, day in enumerate(sessions_between(FIRST_DAY, last)):
        market = shared.gauss(0, _MARKET)
        sectors = {sector: shared.gauss(0, _SECTOR) for sector in Sector}
        moves: dict[str, tuple[float, float]] = {}
        for asset in sample():
            symbol, sector = asset.record.symbol, asset.record.sector
            path = math.log(asset.price) + _GROWTH * (number - _PRICED_AFTER)
            move = _GROWTH + market + _PULL * (path - math.log(closes[symbol]))
            if sector is not None:
                move += sectors[sector] + own[symbol].gauss(0, _OWN)
            moves[symbol] = closes[symbol], round(closes[symbol] * math.exp(move), 2)
            closes[symbol] = moves[symbol][1]
        if wanted is None or day in wanted:
            yield day, [_bar(symbol, day, *moves[symbol]) for symbol in sorted(moves)]


def _bar(symbol: str, day: date, before: float, close: float) -> Bar:
    chance = random.Random(f"{_SEED} {symbol} {day}")  # noqa: S311 - the numbers must be repeatable
    opened = before * math.exp(chance.gauss(0, 0.003))
    high = max(opened, close) * (1 + abs(chance.gauss(0, 0.004)))
    low = min(opened, close) * (1 - abs(chance.gauss(0, 0.004)))
    volume = Decimal(int(1e6 * math.exp(chance.gauss(1, 0.4))))
    prices = [_cents(price) for price in (opened, close, high, low)]
    first, last, top, bottom = prices[0], prices[1], max(prices), min(prices)
    vwap = _cents(float(first + last + top + bottom) / 4)
    return Bar(symbol, day, first, top, bottom, last, volume, vwap, None, None, SOURCE, 1)


def _cents(price: float) -> Decimal:
    return Decimal(max(1, round(price * 100))).scaleb(-2)


class SampleBars:
    """The sample as a provider of bars for `make backfill`."""

    name = SOURCE

    def __init__(self, last: date) -> None:
        self._days = dict(walk(last))

    def daily_bars(self, day: date) -> Iterator[ProvidedBar]:
        """Yield the bars of a day; see `BarProvider.daily_bars`."""
        for bar in self._days.get(day, ()):
            yield ProvidedBar(bar.symbol, **{name: getattr(bar, name) for name in NUMBERS})

    def splits(self, day: date) -> Sequence[ProvidedSplit]:  # noqa: ARG002 - the sample has no splits
        """Return no splits; see `BarProvider.splits`."""
        return ()


def load(client: Any, table: str, now: datetime) -> int:
    """Store the assets and the bars of the missing days among two years up to yesterday. Return the number of bars.

    The records of the days are written last and carry no events, so that subscribers are not notified of
    history. A repeated call costs six reads.
    """
    store = BarStore(client, table)
    wanted = sessions_up_to(now.astimezone(UTC).date() - timedelta(days=1), SESSIONS)
    marked = store.ingested_days(wanted)
    missing = {day for day in wanted if day not in marked}
    if not missing:
        return 0
    records = [asset.record for asset in sample()]
    known = store.assets([record.symbol for record in records])
    new = [record.to_item() for record in records if record.symbol not in known]
    symbols, days = [record.symbol for record in records], []
    with ThreadPoolExecutor(_THREADS) as pool:
        written = [pool.submit(batch_put, client, table, new)]
        for day, found in walk(wanted[-1], missing):
            written.append(pool.submit(batch_put, client, table, [bar.to_item() for bar in found]))
            ingested = record_day(None, day, symbols, bars=found, faults=(), now=now, publish=False)
            days.append(ingested.to_item())
        for batch in written:
            batch.result()
    batch_put(client, table, days)
    return len(missing) * len(records)


def newest_file(now: datetime) -> tuple[str, str]:
    """Return the name and the text of the newest session's file, in the format of the nightly ingestion."""
    last = sessions_up_to(now.astimezone(UTC).date() - timedelta(days=1), 1)[0]
    ((day, found),) = walk(last, {last})
    rows = [[bar.symbol, *(_text(getattr(bar, name)) for name in NUMBERS)] for bar in found]
    lines = [",".join(row) for row in [["symbol", *NUMBERS], *rows]]
    return f"{day.isoformat()}.csv", "\n".join([*lines, ""])


def _text(number: Decimal | None) -> str:
    return "" if number is None else plain(number)
