"""A broker in memory that can be told what becomes of each order, and remembers every fill there ever was."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from tests.support.faults import Faults
from trimtab.kernel.money import ZERO, to_money
from trimtab.portfolios.execution.broker import BrokerAccount, BrokerOrder, BrokerReport, BrokerStatus, OutcomeUnknown
from trimtab.portfolios.portfolio.holdings import Side

_UNIT = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of an order: by itself it is filled at once.

    `looks`: it is open, and filled only when it is looked up that often. `percent`: only so much is filled; it is open
    then until somebody cancels it, if it does not `end`. `time_out`: the submission is not answered, `times` often; the
    did not arrive (before), did (after), or arrives just after a look-up has said that it did not (late).
    `error` is what the adapter raises then.
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
    """Something that was really bought or sold."""

    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    amount: Decimal


Fates = Mapping[tuple[str, int], Fate]
"""By symbol, and the number of the order among those of the symbol, from 1: a reversal is the second."""


@dataclass
class Exchange:
    """A `Broker`. Each of its calls is one at which the process may crash."""

    faults: Faults
    prices: Callable[[str], Decimal]
    fates: Fates = field(default_factory=dict)
    knows_ids: bool = True
    """Whether an id that it has already is not executed again, as the port promises."""
    trouble: Callable[[], None] = lambda: None
    """Is called before each answer; what it raises is the answer."""
    witness: Callable[..., None] | None = None
    """Is shown every order that arrives at the broker's door, and whether its id is known there."""
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

    def positions(self, account: str) -> Mapping[str, Decimal]:  # noqa: ARG002 - there is one
        """See `Broker.positions`."""
        held: dict[str, Decimal] = {}
        for fill in self.fills:
            held[fill.symbol] = held.get(fill.symbol, ZERO) + (fill.quantity if fill.side == "BUY" else -fill.quantity)
        return held

    def account(self, account: str) -> BrokerAccount:
        """See `Broker.account`."""
        cash = sum((fill.amount if fill.side == "SELL" else -fill.amount for fill in self.fills), ZERO)
        return BrokerAccount(account, cash, "USD", "ACTIVE")

    def _fate(self, order: BrokerOrder) -> Fate:
        ids = self._numbers.setdefault(order.symbol, [])
        if order.client_order_id not in ids:
            ids.append(order.client_order_id)
        return self.fates.get((order.symbol, ids.index(order.client_order_id) + 1), Fate())

    def _submit(self, order: BrokerOrder) -> BrokerReport:
        self.trouble()
        if self.witness is not None:
            self.witness(order, is_known=order.client_order_id in self._reports)
        self.submissions.append(order)
        fate, id = self._fate(order), order.client_order_id
        self._sent[id] += 1
        if fate.time_out is None or self._sent[id] > fate.times:
            return self._arrive(order)
        if fate.time_out == "after":
            self._arrive(order)
        elif fate.time_out == "late":
            self._under_way[id] = order
        raise fate.error(f"{id} was not answered")

    def _arrive(self, order: BrokerOrder) -> BrokerReport:
        id, fate = order.client_order_id, self._fate(order)
        if id in self._reports and self.knows_ids:
            return self._reports[id]
        if fate.refuse:
            self._reports[id] = BrokerReport(id, BrokerStatus.ENDED, f"b-{id}", reason="refused")
        elif fate.looks:
            self._open[id] = (order, fate.looks)
            self._reports[id] = BrokerReport(id, BrokerStatus.OPEN, f"b-{id}")
        else:
            self._fill(order, fate)
        return self._reports[id]

    def _fill(self, order: BrokerOrder, fate: Fate) -> None:
        id = order.client_order_id
        filled = (order.quantity * fate.percent / 100).quantize(_UNIT, ROUND_FLOOR)
        amount = to_money(filled * self.prices(order.symbol))
        status = BrokerStatus.FILLED
        if filled != order.quantity:
            status = BrokerStatus.ENDED if fate.ends else BrokerStatus.OPEN
        self.fills.append(Fill(id, order.symbol, Side(order.side).value, filled, amount))
        self._reports[id] = BrokerReport(id, status, f"b-{id}", filled, amount)

    def _look_up(self, id: str) -> BrokerReport | None:
        self.trouble()
        if id in self._open:
            order, looks = self._open[id]
            self._open[id] = (order, looks - 1)
            if looks <= 1:
                del self._open[id]
                self._fill(order, self._fate(order))
        answer = self._reports.get(id)
        if answer is None and id in self._under_way:
            self._arrive(self._under_way.pop(id))
        return answer

    def _cancel(self, id: str) -> None:
        self.trouble()
        self._open.pop(id, None)
        if id in self._reports and self._reports[id].status is BrokerStatus.OPEN:
            self._reports[id] = replace(self._reports[id], status=BrokerStatus.ENDED, reason="cancelled")
