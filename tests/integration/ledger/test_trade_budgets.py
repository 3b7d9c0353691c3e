"""AWS calls of trades and holdings, counted at the client, and eight concurrent writers of one portfolio."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest

from tests.support.faults import Faults, injecting
from tests.support.moto_state import commits, fast_transactions
from tests.support.system import MARKET_TABLE, TABLE, TABLES, System
from tests.support.trading import START, account, csv_file, ledger_items, quote, split, trade
from tests.support.write_units import metering
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Conflict
from trimtab.portfolios.ledger.new_entries import NewTrade
from trimtab.portfolios.ledger.service import TradeService
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, Side, TradeStatus, fold

READ, WRITE = "BatchGetItem", "TransactWriteItems"
WRITERS, EACH = 8, 50


@pytest.fixture
def calls(system: System) -> Iterator[Faults]:
    """The AWS calls of the system, recorded without injecting faults."""
    with injecting() as faults:
        yield faults


def test_recording_takes_one_read_and_one_transaction_and_reading_holdings_at_most_four_reads(
    system: System, calls: Faults
) -> None:
    def made(answer: Any) -> list[str]:
        operations = list(calls.operations)
        assert getattr(answer, "status", 200) in {200, 201}
        calls.set()
        return operations

    mine = account(system, cash="1000")
    calls.set()
    assert made(mine.holdings()) == ["GetItem"]
    assert made(mine.record("a", "BUY", 10, 100, 2)) == [READ, WRITE]
    assert made(mine.record("b", "SELL", 1, 100)) == [READ, WRITE]
    assert made(mine.record("p", "BUY", 1, 100, 1, status="pending")) == [READ, WRITE]
    assert made(mine.record("b", "SELL", 1, 100)) == [READ, WRITE, "GetItem"]  # a repeat
    later_entries = ["Query", READ, "Query"]  # of cash: the later trades, and the later cash entries (none)
    assert made(mine.record("c", "BUY", 1, 1, 1)) == [READ, "Query", READ, *later_entries, WRITE]  # back-dated
    assert made(mine.holdings()) == ["GetItem", READ, READ, "Query"]  # no quote: the last close is looked up
    quote(system, 5, at=(datetime.now(UTC) - START) / timedelta(days=1))
    split(system, 3, 2)
    calls.set()
    assert made(mine.record("d", "BUY", 1, 1))[:1] == [READ]
    assert made(mine.record("e", "SELL", 1, 1)) == [READ, WRITE]  # although there is a split
    assert made(mine.holdings()) == ["GetItem", READ]
    assert made(mine.cash("c", "deposit", 1)) == [READ, WRITE]
    assert made(mine.correct("a", quantity=11)) == [READ, READ, "Query", READ, WRITE]
    assert made(mine.correct("p", status="failed")).count(WRITE) == 1


@pytest.mark.parametrize(("symbols", "write_units"), [(1, 8), (10, 10), (20, 12), (30, 14), (60, 18)])
def test_the_write_units_of_a_trade_grow_with_the_holdings(system: System, symbols: int, write_units: int) -> None:
    """A transaction doubles every unit: 1 for the trade, 2 for its index entries, 1 for each KB of the portfolio."""
    mine = account(system, cash="1000000")
    held = [
        trade(f"broker-{471100 + number}", "BUY", "12.5", "1520.35", number, symbol=f"SYM{number}")
        for number in range(symbols)
    ]
    assert mine.upload(csv_file(held)).status == 200
    with metering(TABLES[TABLE]) as meter:
        assert mine.record("broker-900001", "BUY", "12.5", "1520.35", 90, symbol="NEW").status == 201
    assert meter.spent == [write_units]


def test_an_import_reads_a_hundred_and_writes_ninety_rows_a_call(system: System, calls: Faults) -> None:
    mine = account(system)
    calls.set()
    rows = [trade(f"r{number}", "BUY", 1, 2, number / 24) for number in range(181)]
    assert mine.upload(csv_file(rows)).status == 202
    # The portfolio and the import; the rows, then the job with the lock; the message.
    assert calls.operations == [READ, "PutItem", WRITE, "SendMessage"]
    calls.set()
    system.process_recalculations()
    # No recalculation, but an import, its rows, their entries (two pages) and the quotes; three chunks, and the end.
    worker = [call for call in calls.operations if call not in {"ReceiveMessage", "DeleteMessage"}]
    assert worker == [READ, READ, "GetItem", *[READ] * 3, *[WRITE] * 4]
    calls.set()
    assert mine.upload(csv_file(rows)).json["already_recorded"] == 181
    assert WRITE not in calls.operations


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_eight_concurrent_writers_lose_no_trade(system: System) -> None:
    portfolio_id = account(system).portfolio["portfolio_id"]
    ledger = LedgerStore(boto3.client("dynamodb"), TABLE, MARKET_TABLE)
    caller = Caller("demo", frozenset())
    unused: Any = None  # the queue of recalculations

    def write(writer: int) -> int:
        # Calls the service, not the handler: Powertools keeps the present request in a global of the process.
        repeats = 0
        for number in range(EACH):
            side = Side.SELL if number % 3 == 2 else Side.BUY
            ref_id, quantity, amount = f"w{writer}-{number}", Decimal(1 + number % 3), Decimal(100 + writer)
            new = NewTrade(
                ref_id, side, SecurityType.STOCK, "A", quantity, amount, Decimal(1), TradeStatus.SUCCESS, None
            )
            while True:
                try:
                    TradeService(ledger, unused, utc_now).record_trade(caller, portfolio_id, new)
                    break
                except Conflict:  # 409 with Retry-After: the client repeats the request
                    repeats += 1
                    assert repeats < 500
        return repeats

    with fast_transactions(), ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    trades = ledger.trades_of("demo", portfolio_id, "A")
    portfolio, _, _ = ledger.portfolio_quote_and_asset("demo", portfolio_id, "A")
    assert portfolio is not None
    effects = [trade.effect for trade in trades if trade.effect is not None]
    assert len(effects) == len(ledger_items()) == WRITERS * EACH
    assert portfolio.holdings["A"] == fold(Holding("A", SecurityType.STOCK), effects, [])
    assert portfolio.holdings["A"].quantity == WRITERS * sum(
        (-1 if n % 3 == 2 else 1) * (1 + n % 3) for n in range(EACH)
    )
    assert portfolio.version == 1 + WRITERS * EACH
    assert len(commits()) == 1 + 2 * WRITERS * EACH  # each trade with one version of the portfolio, and nothing else
