"""Quote workers, evaluators and changes of holdings on one market, switched between at any call that leaves them."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.client import BaseClient

from functions.balancing_on_check_requested import handler as check_function
from functions.balancing_on_commit import handler as commit_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_on_quote_received import handler as quote_function
from functions.portfolios_api import app as api_function
from tests.support.faults import Crash
from tests.support.invariants import is_within, seen
from tests.support.many_portfolios import Crowd
from tests.support.moto_state import snapshot, stored_items, table
from tests.support.system import MARKET_TABLE, sqs_record
from trimtab.contracts.messages import CheckRequested, ExecutionRequested, QuoteReceived
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.errors import Refusal
from trimtab.kernel.money import plain
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.balancing import watch_store as watches
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade
from trimtab.portfolios.portfolio.cash import CashType
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.pending_jobs import RESEND_AFTER
from trimtab.runtime.sqs.worker import read_record

Act = Callable[[], None]
Choice = Callable[[Sequence[str]], str]
CALLER = Caller("demo", frozenset(), subject="test")
MOST_DELIVERIES = 200


@dataclass
class Stage:
    """Runs actors one call at a time: before each call an actor is held until it is chosen to go on."""

    crashes: dict[str, int] = field(default_factory=dict)
    """Before which of its calls an actor ends for good."""
    _turns: dict[str, threading.Semaphore] = field(default_factory=dict)
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _ended: set[str] = field(default_factory=set)
    _raised: list[BaseException] = field(default_factory=list)

    def play(self, actors: Mapping[str, Act], choose: Choice) -> list[str]:
        """Everybody to the end; who went on at each step."""
        self._turns = {name: threading.Semaphore(0) for name in actors}
        self._ended, steps = set(), []
        threads = [threading.Thread(target=self._act, args=it, name=it[0]) for it in actors.items()]
        for thread in threads:
            thread.start()
        while on_stage := sorted(set(actors) - self._ended):
            steps.append(choose(on_stage))
            self._turns[steps[-1]].release()
            self._back.acquire()
        for thread in threads:
            thread.join()
        self._turns, self.crashes = {}, {}
        if self._raised:
            raise self._raised.pop()
        return steps

    def pass_gate(self) -> None:
        """Before a call: an actor gives way here, and everybody else passes."""
        name = threading.current_thread().name
        turn = self._turns.get(name)
        if turn is None:
            return
        self._back.release()
        turn.acquire()
        if name in self.crashes:
            self.crashes[name] -= 1
            if self.crashes[name] < 0:
                raise Crash

    def _act(self, name: str, act: Act) -> None:
        self._turns[name].acquire()
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            self._raised.append(error)
        finally:
            self._ended.add(name)
            self._back.release()


@dataclass
class Races:
    """A market whose messages wait here until somebody takes them; what fails or crashes is delivered again."""

    market: Crowd
    stage: Stage
    waiting: list[tuple[str, str]]
    """The messages of all queues: the queue's name and the body."""
    quoted: dict[str, tuple[datetime, Decimal]]
    """The newest quote of each symbol that anybody has given."""
    changes: int = 0

    def give(self, prices: Mapping[str, Decimal], seconds: float = 1) -> None:
        """A message with quotes that are true that much later (or earlier) than now, put on the queue."""
        self.changes += 1
        at = self.market.now + timedelta(seconds=seconds, microseconds=self.changes)  # no two of one instant
        for symbol, price in prices.items():
            if symbol not in self.quoted or self.quoted[symbol][0] < at:
                self.quoted[symbol] = (at, price)
        rows = [{"symbol": name, "price": plain(price), "as_of": format_time(at)} for name, price in prices.items()]
        message = {"schema_version": 1, "type": "quote.received", "quotes": rows}
        self.waiting.append(("quotes", json.dumps(message)))

    def taken(self, position: int = 0, *, repeated: bool = False) -> Act:
        """What delivers the message that stands there; `repeated` leaves it on the queue for a second delivery."""
        message = self.waiting[position] if repeated else self.waiting.pop(position)
        return lambda: self.deliver(*message)

    def deliver(self, queue_name: str, body: str) -> None:
        """One delivery to the function of that queue."""
        try:
            _FUNCTIONS[queue_name](SQSRecord(sqs_record(body)))
        except (Refusal, ConditionFailed, Crash):
            self.waiting.append((queue_name, body))

    def stream(self) -> None:
        """Hands the newest commits to the function that asks for checks, past its filter."""
        records = [each.to_json() for each in table().stream_shard.items]
        marked = [record for record in records if "evaluation_due" in record["dynamodb"].get("NewImage", {})]
        if marked:
            try:
                commit_function.handler({"Records": marked}, self.market.system.context)
            except Crash:
                return  # the stream stays where it is, and delivers them again
        del table().stream_shard.items[: len(records)]

    def move_cash(self, number: int, amount: Decimal) -> Act:
        """A deposit, or a withdrawal of what is below zero."""
        self.changes += 1
        ref_id, type = f"cash-{self.changes}", CashType.DEPOSIT if amount > 0 else CashType.WITHDRAWAL
        portfolio_id = self.market.portfolios[number].portfolio_id
        trades = api_function.trade_service()
        return _refusable(lambda: trades.move_cash(CALLER, portfolio_id, NewCashEntry(ref_id, type, abs(amount))))

    def trade(self, number: int, symbol: str, share: Decimal) -> Act:
        """That share of a holding is bought, or sold where it is below zero, at the newest price."""
        self.changes += 1
        it = self.market.portfolio(number)
        quantity = (it.holdings[symbol].quantity * abs(share)).quantize(Decimal("0.001"))
        amount = (quantity * self.quoted[symbol][1]).quantize(Decimal("0.01"))
        side = Side.BUY if share > 0 else Side.SELL
        rest: Any = (SecurityType.STOCK, symbol, quantity, amount, Decimal(0), TradeStatus.SUCCESS, None)
        new, trades = NewTrade(f"trade-{self.changes}", side, *rest), api_function.trade_service()
        return _refusable(lambda: trades.record_trade(CALLER, it.portfolio_id, new))

    def settle(self) -> None:
        """Delivers everything, one after the other; whoever planned and ended before it told is made up for later."""
        self._drain()
        if any(self.market.portfolio(number).lock for number in range(len(self.market.portfolios))):
            self.market.now += RESEND_AFTER
            sweep_function.sweeper().sweep()
            self._drain()

    def _drain(self) -> None:
        for _ in range(MOST_DELIVERIES):
            self.stream()
            if not self.waiting:
                return
            self.market.now += timedelta(milliseconds=10)
            self.taken()()
        raise AssertionError(f"does not come to rest: {self.waiting[:3]}")

    def missed(self) -> list[str]:
        """Brute force over everybody: whom the newest prices leave out of the band without anybody having looked."""
        prices = {symbol: price for symbol, (_, price) in self.quoted.items()}
        found = [] if stored_prices() == self.quoted else ["another quote than the newest is stored"]
        for number in range(len(self.market.portfolios)):
            it = self.market.portfolio(number)
            if it.lock is not None or it.watch_state.cause is not None:
                found.append(f"portfolio {number} is not at rest")
            elif not is_within(it, prices):
                rule, facts = self.market.last_check(number)
                if seen(facts, it) != {name: prices[name] for name in it.holdings}:
                    found.append(f"portfolio {number} is out of its band, and was checked ({rule}) at other prices")
        return found

    def leave_the_band(self, symbol: str, factor: Decimal) -> None:
        """A quote that takes somebody out of the band, and as few steps further as brute force can tell."""
        prices = {name: price for name, (_, price) in self.quoted.items()}
        held = [self.market.portfolio(number) for number in range(len(self.market.portfolios))]
        while all(is_within(it, prices) for it in held if symbol in it.holdings):
            prices[symbol] = (prices[symbol] * factor).quantize(Decimal("0.0001"))
        self.market.now += timedelta(seconds=1)
        self.give({symbol: prices[symbol]}, 0)


_FUNCTIONS: Mapping[str, Callable[[SQSRecord], None]] = {
    "quotes": lambda record: quote_function.store([read_record(record, QuoteReceived)]),
    "checks": lambda record: check_function.check(read_record(record, CheckRequested), record),
    "rebalance-executions": lambda record: execution_function.execute(read_record(record, ExecutionRequested), record),
}


def _refusable(change: Callable[[], object]) -> Act:
    """The change; a client whose change is refused, or whose process ends, lets it be."""

    def act() -> None:
        try:
            change()
        except (Refusal, Crash):
            return

    return act


def stored_prices() -> dict[str, tuple[datetime, Decimal]]:
    """The quotes as the market keeps them."""
    return {
        item["pk"]["S"].removeprefix("ASSET#"): (parse_time(item["as_of"]["S"]), Decimal(item["price"]["S"]))
        for item in stored_items(MARKET_TABLE)
    }


def two_switches(first: str, calls: int, other_calls: int) -> Choice:
    """`first` makes so many calls, then the others so many, then `first` goes to its end, and then they do."""
    counts = {True: 0, False: 0}

    def choose(names: Sequence[str]) -> str:
        others = [name for name in names if name != first]
        is_first = first in names and (counts[True] <= calls or counts[False] > other_calls or not others)
        counts[is_first] += 1
        return first if is_first else others[0]

    return choose


@contextmanager
def racing(market: Crowd) -> Iterator[Callable[[], Races]]:
    """What brings a market back to the rest that it is at now, as often as it is called, for another race."""
    make, stage = BaseClient._make_api_call, Stage()  # type: ignore[attr-defined]
    now, bring_back, waiting = market.now, snapshot(), list[tuple[str, str]]()

    def call(client: Any, operation: str, arguments: Any) -> Any:
        stage.pass_gate()
        if client.meta.service_model.service_name != "sqs":
            return make(client, operation, arguments)
        name = arguments["QueueUrl"].rpartition("/")[2]
        sent = arguments["Entries"] if operation == "SendMessageBatch" else [arguments]
        waiting.extend((name, each["MessageBody"]) for each in sent)
        market.now += timedelta(seconds=arguments.get("DelaySeconds", 0))
        return {}

    def anew() -> Races:
        bring_back()
        waiting.clear()
        market.now = now
        return Races(market, stage, waiting, stored_prices())

    with (
        mock.patch.object(BaseClient, "_make_api_call", call),
        mock.patch.object(watches, "MAX_ACTIONS", 1),  # a row at a time, as a portfolio of hundreds writes them
        mock.patch("time.sleep"),
    ):
        logging.disable()  # thousands of checks would write more than they do
        try:
            yield anew
        finally:
            logging.disable(logging.NOTSET)
