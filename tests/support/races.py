"""Races between quote workers, evaluators and changes of holdings, which switch at any call to AWS."""

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
from tests.support.assurance import tried
from tests.support.faults import Crash
from tests.support.invariants import is_within, seen
from tests.support.many_portfolios import ManyPortfolios
from tests.support.moto_state import snapshot, stored_items, table
from tests.support.system import MARKET_TABLE, sqs_record
from trimtab.contracts.messages import CheckRequested, ExecutionRequested, QuoteReceived
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.errors import Refusal
from trimtab.kernel.money import plain
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.balancing import watch_store as watches
from trimtab.portfolios.balancing.safe_moves import REARM_MOVE
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade
from trimtab.portfolios.portfolio.cash import CashType
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.pending_jobs import RESEND_AFTER
from trimtab.runtime.sqs.worker import read_record

Actor = Callable[[], None]
Choice = Callable[[Sequence[str]], str]
CALLER = Caller("demo", frozenset(), subject="test")
MAX_DELIVERIES = 200


@dataclass
class TurnTaking:
    """Runs actors one call at a time: before each call an actor blocks until it is chosen."""

    crashes: dict[str, int] = field(default_factory=dict)
    """Number of the call before which an actor crashes."""
    _turns: dict[str, threading.Semaphore] = field(default_factory=dict)
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _ended: set[str] = field(default_factory=set)
    _raised: list[BaseException] = field(default_factory=list)

    def play(self, actors: Mapping[str, Actor], choose: Choice) -> list[str]:
        """Run all actors to their end; return the actor of each step."""
        self._turns = {name: threading.Semaphore(0) for name in actors}
        self._ended, steps = set(), []
        threads = [threading.Thread(target=self._act, args=actor, name=actor[0]) for actor in actors.items()]
        for thread in threads:
            thread.start()
        while waiting_actors := sorted(set(actors) - self._ended):
            steps.append(choose(waiting_actors))
            self._turns[steps[-1]].release()
            self._back.acquire()
        for thread in threads:
            thread.join()
        self._turns, self.crashes = {}, {}
        if self._raised:
            raise self._raised.pop()
        return steps

    def pass_gate(self) -> None:
        """Block an actor before its call until it is chosen; other threads pass."""
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

    def _act(self, name: str, act: Actor) -> None:
        self._turns[name].acquire()
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            self._raised.append(error)
        finally:
            self._ended.add(name)
            self._back.release()


@dataclass
class Race:
    """A market whose messages wait here for delivery; a delivery that fails or crashes is repeated."""

    market: ManyPortfolios
    turns: TurnTaking
    waiting: list[tuple[str, str]]
    """Messages of all queues: name of the queue, and body."""
    quoted: dict[str, tuple[datetime, Decimal]]
    """Newest quote of each symbol so far."""
    changes: int = 0
    changed_at: dict[int, datetime] = field(default_factory=dict)
    """Time after the newest change of each portfolio was committed."""
    taken_at: dict[str, datetime] = field(default_factory=dict)
    """Time before the newest quote of each symbol was stored: its delivery began."""

    def feed(self, prices: Mapping[str, Decimal], seconds: float = 1) -> None:
        """Put a message with quotes on the queue, timed this many seconds after the present time."""
        self.changes += 1
        at = self.market.now + timedelta(seconds=seconds, microseconds=self.changes)  # all times differ
        for symbol, price in prices.items():
            if symbol not in self.quoted or self.quoted[symbol][0] < at:
                self.quoted[symbol] = (at, price)
        rows = [{"symbol": name, "price": plain(price), "as_of": format_time(at)} for name, price in prices.items()]
        message = {"schema_version": 1, "type": "quote.received", "quotes": rows}
        self.waiting.append(("quotes", json.dumps(message)))

    def delivery(self, position: int = 0, *, repeated: bool = False) -> Actor:
        """Return an actor that delivers the message at a position; `repeated` keeps the message on the queue."""
        message = self.waiting[position] if repeated else self.waiting.pop(position)
        return lambda: self.deliver(*message)

    def deliver(self, queue_name: str, body: str) -> None:
        """Deliver a message to the function of its queue."""
        if queue_name == "quotes":
            self._note_quotes(json.loads(body)["quotes"])
        try:
            _FUNCTIONS[queue_name](SQSRecord(sqs_record(body)))
        except (Refusal, ConditionFailed, Crash):
            self.waiting.append((queue_name, body))

    def _note_quotes(self, rows: Sequence[Mapping[str, str]]) -> None:
        stored = stored_prices()
        for row in rows:
            if row["symbol"] not in stored or stored[row["symbol"]][0] < parse_time(row["as_of"]):
                self.taken_at[row["symbol"]] = self.market.now

    def has_marked_records(self) -> bool:
        """Return whether the stream has a record that passes the event filter."""
        return bool(_marked([each.to_json() for each in table().stream_shard.items]))

    def stream(self) -> None:
        """Hand new stream records that pass the event filter to the function that requests checks."""
        records = [each.to_json() for each in table().stream_shard.items]
        marked = _marked(records)
        if marked:
            try:
                commit_function.handler({"Records": marked}, self.market.system.context)
            except Crash:
                return  # the stream delivers the records again
        del table().stream_shard.items[: len(records)]

    def move_cash(self, number: int, amount: Decimal) -> Actor:
        """Return an actor that records a deposit, or a withdrawal for a negative amount."""
        self.changes += 1
        ref_id, type = f"cash-{self.changes}", CashType.DEPOSIT if amount > 0 else CashType.WITHDRAWAL
        portfolio_id = self.market.portfolios[number].portfolio_id
        trades = api_function.trade_service()
        return self._change(
            number, lambda: trades.move_cash(CALLER, portfolio_id, NewCashEntry(ref_id, type, abs(amount)))
        )

    def trade(self, number: int, symbol: str, share: Decimal) -> Actor:
        """Return an actor that trades this share of a holding at the newest price; negative shares are sold."""
        self.changes += 1
        portfolio = self.market.portfolio(number)
        quantity = (portfolio.holdings[symbol].quantity * abs(share)).quantize(Decimal("0.001"))
        amount = (quantity * self.quoted[symbol][1]).quantize(Decimal("0.01"))
        side = Side.BUY if share > 0 else Side.SELL
        rest: Any = (SecurityType.STOCK, symbol, quantity, amount, Decimal(0), TradeStatus.SUCCESS, None)
        new, trades = NewTrade(f"trade-{self.changes}", side, *rest), api_function.trade_service()
        return self._change(number, lambda: trades.record_trade(CALLER, portfolio.portfolio_id, new))

    def _change(self, number: int, change: Callable[[], object]) -> Actor:
        """Return an actor that makes a change once and gives up after a refusal or crash."""

        def act() -> None:
            try:
                change()
            except Refusal:
                return
            except Crash:
                pass  # the change may be committed
            self.changed_at[number] = self.market.now

        return act

    def settle(self) -> None:
        """Deliver everything, one message at a time; then let the sweeper repair lost messages."""
        self._drain()
        if any(self.market.portfolio(number).lock for number in range(len(self.market.portfolios))):
            self.market.now += RESEND_AFTER
            sweep_function.sweeper().sweep()
            self._drain()

    def _drain(self) -> None:
        for _ in range(MAX_DELIVERIES):
            self.stream()
            if not self.waiting:
                return
            self.market.now += timedelta(milliseconds=10)
            self.delivery()()
        raise AssertionError(f"does not settle: {self.waiting[:3]}")

    def missed(self) -> list[str]:
        """Return by brute force the portfolios outside their band that no check has seen at the newest prices."""
        prices = {symbol: price for symbol, (_, price) in self.quoted.items()}
        found = [] if stored_prices() == self.quoted else ["the stored quotes are not the newest"]
        for number in range(len(self.market.portfolios)):
            portfolio = self.market.portfolio(number)
            if portfolio.lock is not None or portfolio.watch_state.cause is not None:
                found.append(f"portfolio {number} is not settled")
            elif not is_within(portfolio, prices):
                rule, facts = self.market.last_check(number)
                if rule == "backing_off" and _is_paused(portfolio, seen(facts, portfolio), prices, self.market.now):
                    continue
                if seen(facts, portfolio) != {name: prices[name] for name in portfolio.holdings}:
                    found.append(f"portfolio {number} is out of its band, and was checked ({rule}) at other prices")
                elif rule == "awaiting_quote" and self._is_followed_by_quote(number, portfolio):
                    found.append(f"portfolio {number} is out of its band, and a newer quote than its change is ignored")
        return found

    def _is_followed_by_quote(self, number: int, portfolio: Portfolio) -> bool:
        """Return whether a quote came after the newest change of the portfolio, and after its newest plan."""
        newest = self.market.newest(number)
        changes = [self.changed_at.get(number), newest.created_at if newest else None]
        after = max(filter(None, changes), default=None)
        return any(after is None or self.taken_at[name] > after for name in portfolio.holdings if name in self.taken_at)

    def leave_the_band(self, symbol: str, factor: Decimal) -> None:
        """Feed a quote that takes a portfolio out of its band, in the fewest steps of this factor."""
        prices = {name: price for name, (_, price) in self.quoted.items()}
        held = [self.market.portfolio(number) for number in range(len(self.market.portfolios))]
        while all(is_within(portfolio, prices) for portfolio in held if symbol in portfolio.holdings):
            prices[symbol] = (prices[symbol] * factor).quantize(Decimal("0.0001"))
        self.market.now += timedelta(seconds=1)
        self.feed({symbol: prices[symbol]}, 0)


_FUNCTIONS: Mapping[str, Callable[[SQSRecord], None]] = {
    "quotes": lambda record: quote_function.store([read_record(record, QuoteReceived)]),
    "checks": lambda record: check_function.check(read_record(record, CheckRequested), record),
    "rebalance-executions": lambda record: execution_function.execute(read_record(record, ExecutionRequested), record),
}


def _marked(records: Sequence[Any]) -> list[Any]:
    return [record for record in records if "evaluation_due" in record["dynamodb"].get("NewImage", {})]


def _is_paused(
    portfolio: Portfolio, checked: Mapping[str, Decimal], prices: Mapping[str, Decimal], now: datetime
) -> bool:
    """Return whether the check at the end of a pause is due, and no price has moved by 1 % since the last check."""
    is_due = portfolio.brake.blocks(now) and portfolio.watch_state.retry_at == portfolio.brake.blocked_until
    moves = [abs(prices[name] / price - 1) for name, price in checked.items()]
    return is_due and checked.keys() == portfolio.holdings.keys() and max(moves, default=REARM_MOVE) <= REARM_MOVE


def stored_prices() -> dict[str, tuple[datetime, Decimal]]:
    """Return the stored quotes."""
    return {
        item["pk"]["S"].removeprefix("ASSET#"): (parse_time(item["as_of"]["S"]), Decimal(item["price"]["S"]))
        for item in stored_items(MARKET_TABLE)
        if item["sk"]["S"] == "QUOTE"
    }


def two_switches(first: str, calls: int, other_calls: int) -> Choice:
    """Return a choice: `first` makes some calls, then the others some; then `first` ends, then the others."""
    counts = {True: 0, False: 0}

    def choose(names: Sequence[str]) -> str:
        others = [name for name in names if name != first]
        is_first = first in names and (counts[True] <= calls or counts[False] > other_calls or not others)
        counts[is_first] += 1
        return first if is_first else others[0]

    return choose


@contextmanager
def races(market: ManyPortfolios) -> Iterator[Callable[[], Race]]:
    """Yield a function that restores the present state of the market and starts a race."""
    make, turns = BaseClient._make_api_call, TurnTaking()  # type: ignore[attr-defined]
    now, restore, waiting = market.now, snapshot(), list[tuple[str, str]]()

    def call(client: Any, operation: str, arguments: Any) -> Any:
        turns.pass_gate()
        market.now += timedelta(microseconds=1)  # no two calls at the same time
        if client.meta.service_model.service_name != "sqs":
            return make(client, operation, arguments)
        name = arguments["QueueUrl"].rpartition("/")[2]
        sent = arguments["Entries"] if operation == "SendMessageBatch" else [arguments]
        waiting.extend((name, each["MessageBody"]) for each in sent)
        market.now += timedelta(seconds=arguments.get("DelaySeconds", 0))
        return {}

    def start_race() -> Race:
        tried()
        restore()
        waiting.clear()
        market.now = now
        return Race(market, turns, waiting, stored_prices())

    with (
        mock.patch.object(BaseClient, "_make_api_call", call),
        mock.patch.object(
            watches, "MAX_ACTIONS", 1
        ),  # one row per transaction, like a portfolio of hundreds of symbols
        mock.patch("time.sleep"),
    ):
        logging.disable()  # logs of thousands of checks would take longer than the checks
        try:
            yield start_race
        finally:
            logging.disable(logging.NOTSET)
