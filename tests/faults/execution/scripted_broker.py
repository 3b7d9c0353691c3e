"""A broker in memory that follows a script for each order and records every fill."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from msgspec.structs import replace

from tests.support.faults import Faults
from trimtab.kernel.money import ZERO, to_money
from trimtab.portfolios.execution.broker import BrokerAccount, BrokerOrder, BrokerReport, BrokerStatus, OutcomeUnknown
from trimtab.portfolios.portfolio.holdings import Side

_UNIT = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class OrderScript:
    """Behaviour of the broker for one order; by default the order is filled at once.

    * `looks`: the order is open, and filled at the look-up of this number.
    * `percent`: only this percentage is filled; without `ends` the order then stays open until cancelled.
    * `time_out`: `times` submissions are not answered. The order did not arrive (`before`), did arrive (`after`), or
      arrives just after a look-up has not found it (`late`).
    * `error`: exception of an unanswered submission.
    """

    refuse: bool = False
    percent: int = 100
    ends: bool = True
    looks: int = 0
    time_out: Literal["before", "after", "late"] | None = None
    times: int = 1
    error: type[Exception] = OutcomeUnknown


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill at the broker."""

    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    amount: Decimal


OrderScripts = Mapping[tuple[str, int], OrderScript]
"""Scripts by symbol and number of the order within its symbol, from 1: a reversal is the second order."""


@dataclass
class ScriptedBroker:
    """A `Broker` in memory. The process may crash before and after each call."""

    faults: Faults
    prices: Callable[[str], Decimal]
    scripts: OrderScripts = field(default_factory=dict)
    knows_ids: bool = True
    """Whether a known client order id is not executed again, as `Broker.submit` promises."""
    before_answer: Callable[[], None] = lambda: None
    """Called before each answer; an exception replaces the answer."""
    on_submit: Callable[..., None] | None = None
    """Called with each submitted order, and whether its id is known already."""
    fills: list[Fill] = field(default_factory=list)
    submissions: list[BrokerOrder] = field(default_factory=list)
    _reports: dict[str, BrokerReport] = field(default_factory=dict)
    _open: dict[str, tuple[BrokerOrder, int]] = field(default_factory=dict)
    _under_way: dict[str, BrokerOrder] = field(default_factory=dict)
    _sent: Counter[str] = field(default_factory=Counter)
    _numbers: dict[str, list[str]] = field(default_factory=dict)

    def submit(self, account: str, order: BrokerOrder) -> BrokerReport:
        """See `Broker.submit`."""
        return self.faults.around("broker", "submit", lambda: self._submit(order), account)

    def look_up(self, account: str, client_order_id: str) -> BrokerReport | None:
        """See `Broker.look_up`."""
        return self.faults.around("broker", "look_up", lambda: self._look_up(client_order_id), account)

    def cancel(self, account: str, client_order_id: str) -> None:
        """See `Broker.cancel`."""
        self.faults.around("broker", "cancel", lambda: self._cancel(client_order_id), account)

    def positions(self, account: str) -> Mapping[str, Decimal]:  # noqa: ARG002 - one account only
        """See `Broker.positions`."""
        held: dict[str, Decimal] = {}
        for fill in self.fills:
            held[fill.symbol] = held.get(fill.symbol, ZERO) + (fill.quantity if fill.side == "BUY" else -fill.quantity)
        return held

    def account(self, account: str) -> BrokerAccount:
        """See `Broker.account`."""
        cash = sum((fill.amount if fill.side == "SELL" else -fill.amount for fill in self.fills), ZERO)
        return BrokerAccount(account, cash, "USD", "ACTIVE")

    def _script(self, order: BrokerOrder) -> OrderScript:
        ids = self._numbers.setdefault(order.symbol, [])
        if order.client_order_id not in ids:
            ids.append(order.client_order_id)
        return self.scripts.get((order.symbol, ids.index(order.client_order_id) + 1), OrderScript())

    def _submit(self, order: BrokerOrder) -> BrokerReport:
        self.before_answer()
        if self.on_submit is not None:
            self.on_submit(order, is_known=order.client_order_id in self._reports)
        self.submissions.append(order)
        script, id = self._script(order), order.client_order_id
        self._sent[id] += 1
        if script.time_out is None or self._sent[id] > script.times:
            return self._arrive(order)
        if script.time_out == "after":
            self._arrive(order)
        elif script.time_out == "late":
            self._under_way[id] = order
        raise script.error(f"{id} was not answered")

    def _arrive(self, order: BrokerOrder) -> BrokerReport:
        id, script = order.client_order_id, self._script(order)
        if id in self._reports and self.knows_ids:
            return self._reports[id]
        if script.refuse:
            self._reports[id] = BrokerReport(id, BrokerStatus.ENDED, f"b-{id}", reason="refused")
        elif script.looks:
            self._open[id] = (order, script.looks)
            self._reports[id] = BrokerReport(id, BrokerStatus.OPEN, f"b-{id}")
        else:
            self._fill(order, script)
        return self._reports[id]

    def _fill(self, order: BrokerOrder, script: OrderScript) -> None:
        id = order.client_order_id
        filled = (order.quantity * script.percent / 100).quantize(_UNIT, ROUND_FLOOR)
        amount = to_money(filled * self.prices(order.symbol))
        status = BrokerStatus.FILLED
        if filled != order.quantity:
            status = BrokerStatus.ENDED if script.ends else BrokerStatus.OPEN
        if filled:
            self.fills.append(Fill(id, order.symbol, Side(order.side).value, filled, amount))
        self._reports[id] = BrokerReport(id, status, f"b-{id}", filled, amount)

    def _look_up(self, id: str) -> BrokerReport | None:
        self.before_answer()
        if id in self._open:
            order, looks = self._open[id]
            self._open[id] = (order, looks - 1)
            if looks <= 1:
                del self._open[id]
                self._fill(order, self._script(order))
        answer = self._reports.get(id)
        if answer is None and id in self._under_way:
            self._arrive(self._under_way.pop(id))
        return answer

    def _cancel(self, id: str) -> None:
        self.before_answer()
        self._open.pop(id, None)
        if id in self._reports and self._reports[id].status is BrokerStatus.OPEN:
            self._reports[id] = replace(self._reports[id], status=BrokerStatus.ENDED, reason="cancelled")
