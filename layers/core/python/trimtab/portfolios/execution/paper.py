"""The paper broker: fills at the stored quote, deterministically, and keeps what it did in a table of its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from trimtab.kernel.clock import Clock, format_time, parse_time
from trimtab.kernel.money import CONTEXT, HUNDRED, QUANTITY_PLACES, ZERO, plain, to_money
from trimtab.kernel.retry import ConditionFailed, retrying_on_conflict
from trimtab.portfolios.execution.broker import BrokerAccount, BrokerOrder, BrokerReport, BrokerStatus, OutcomeUnknown
from trimtab.portfolios.execution.paper_scenario import Rule, unpack
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.runtime import dynamo

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Prices = Callable[[str], Decimal | None]
"""The price of a symbol's stored quote, None where there is none."""

ORDER, TRIES = "ORDER#", "TRIES#"
_UNIT = Decimal(1).scaleb(-QUANTITY_PLACES)


@dataclass(frozen=True, slots=True)
class _Held:
    """An order that has arrived, with the rule that it is under; `due_at` is there until it has been executed."""

    account: str
    order: BrokerOrder
    rule: Rule
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None = None
    status: BrokerStatus = BrokerStatus.OPEN
    filled: Decimal = ZERO
    amount: Decimal = ZERO
    fees: Decimal = ZERO
    reason: str | None = None
    version: int = 1

    @property
    def report(self) -> BrokerReport:
        """What its sender is told."""
        own = self.order.client_order_id
        return BrokerReport(own, self.status, f"paper-{own}", self.filled, self.amount, self.fees, self.reason)

    @property
    def quantity_change(self) -> Decimal:
        """What it added to the position."""
        return self.filled if self.order.side is Side.BUY else -self.filled

    @property
    def cash_change(self) -> Decimal:
        """What it added to the cash."""
        return (-self.amount if self.order.side is Side.BUY else self.amount) - self.fees

    def is_due(self, now: datetime) -> bool:
        """Whether its latency is over and nobody has looked since."""
        return self.due_at is not None and self.due_at <= now

    def ended(self, reason: str) -> "_Held":
        """Over, with what was filled until now."""
        return replace(self, status=BrokerStatus.ENDED, reason=reason, due_at=None)

    def executed(self, quote: Decimal | None) -> "_Held":
        """Filled at the quote as its rule says, or ended because it cannot be."""
        if self.rule.refuse is not None:
            return self.ended(self.rule.refuse)
        if quote is None:
            return self.ended("no_quote")
        price = CONTEXT.multiply(quote, self.rule.price_factor)
        if not _meets(self.order, price):
            return self.ended("limit_not_met")
        filled = _part(self.order.quantity, self.rule.fill_percent)
        booked = replace(
            self,
            due_at=None,
            filled=filled,
            amount=to_money(CONTEXT.multiply(filled, price)),
            fees=self.rule.fee if filled else ZERO,
        )
        if filled == self.order.quantity:
            return replace(booked, status=BrokerStatus.FILLED)
        return booked.ended("partial_fill") if self.rule.ends else booked


def _meets(order: BrokerOrder, price: Decimal) -> bool:
    limit = order.limit_price
    if limit is None:
        return True
    return price <= limit if order.side is Side.BUY else price >= limit


def _part(quantity: Decimal, percent: Decimal | None) -> Decimal:
    """Rounded down, so that a part is never the whole."""
    if percent is None:
        return quantity
    exact = CONTEXT.divide(CONTEXT.multiply(quantity, percent), HUNDRED)
    return exact.quantize(_UNIT, rounding=ROUND_FLOOR)


@dataclass(frozen=True, slots=True)
class PaperBroker:
    """A broker without a market. An order fills wholly and at once at the stored quote, or ends: with `no_quote`, or
    with `limit_not_met` where the quote is worse than its limit. The scenario's rules change that.

    An account is its orders and nothing else: positions and cash are sums over their fills, so that both begin at
    zero and may be negative; deposits and splits are unknown to it. Its currency is always USD. What DynamoDB raises
    is let through as it is: nobody knows then whether the order arrived, and the caller's message comes again.
    """

    client: "DynamoDBClient"
    table: str
    prices: Prices
    clock: Clock
    scenario: tuple[Rule, ...] = ()

    def submit(self, account: str, order: BrokerOrder) -> BrokerReport:
        """See `Broker.submit`."""
        rule = self._rule(account, order)
        times_out = rule.time_out is not None and self._counts_one(account, order.client_order_id, rule.times)
        if times_out and rule.time_out == "before":
            raise OutcomeUnknown(f"The scenario lets {order.client_order_id} time out before it arrives.")
        report = self._accept(account, order, rule)
        if times_out:
            raise OutcomeUnknown(f"The scenario lets {order.client_order_id} time out after it arrived.")
        return report

    def look_up(self, account: str, client_order_id: str) -> BrokerReport | None:
        """See `Broker.look_up`. An order whose latency is over is executed now, at the quote as of now."""
        held = self._changed(account, client_order_id, lambda it: it)
        return held.report if held else None

    def cancel(self, account: str, client_order_id: str) -> None:
        """See `Broker.cancel`. It comes too late for an order whose latency is over: that one is executed first."""
        self._changed(
            account, client_order_id, lambda it: it.ended("cancelled") if it.status is BrokerStatus.OPEN else it
        )

    def positions(self, account: str) -> Mapping[str, Decimal]:
        """See `Broker.positions`. Symbols of which nothing is left are not in it."""
        held: dict[str, Decimal] = {}
        for it in self._orders(account):
            held[it.order.symbol] = held.get(it.order.symbol, ZERO) + it.quantity_change
        return {symbol: quantity for symbol, quantity in sorted(held.items()) if quantity}

    def account(self, account: str) -> BrokerAccount:
        """See `Broker.account`. The cash is what the fills brought and took, fees included."""
        cash = sum((it.cash_change for it in self._orders(account)), ZERO)
        return BrokerAccount(account, to_money(cash), "USD", "ACTIVE")

    def _rule(self, account: str, order: BrokerOrder) -> Rule:
        def nth() -> int:
            others = (it for it in self._orders(account) if it.order.client_order_id != order.client_order_id)
            return 1 + sum(it.order.symbol == order.symbol for it in others)

        return next((rule for rule in self.scenario if rule.match.fits(account, order, nth)), Rule())

    def _counts_one(self, account: str, client_order_id: str, times: int) -> bool:
        """Whether this submission is one of the `times` that time out; the item's version is their count."""
        key = _key(account, TRIES + client_order_id)
        item = dynamo.get(self.client, self.table, key)
        count = item["version"] if item else 0
        if count >= times:
            return False
        try:
            dynamo.put(self.client, self.table, {**key, "version": count + 1})
        except ConditionFailed:
            raise OutcomeUnknown(f"{client_order_id} is being submitted twice at the same time.") from None
        return True

    def _accept(self, account: str, order: BrokerOrder, rule: Rule) -> BrokerReport:
        now = self.clock()
        held = _Held(account, order, rule, now, now, due_at=now + rule.latency)
        if not rule.latency:
            held = held.executed(self._quote(held))
        try:
            dynamo.put(self.client, self.table, _to_item(held))
        except ConditionFailed:
            first = self.look_up(account, order.client_order_id)
            if first is None:
                raise OutcomeUnknown(f"{order.client_order_id} met another write.") from None
            return first
        return held.report

    def _quote(self, held: _Held) -> Decimal | None:
        return None if held.rule.refuse is not None else self.prices(held.order.symbol)

    def _changed(self, account: str, client_order_id: str, change: Callable[[_Held], _Held]) -> _Held | None:
        """The order, executed if that is due and then changed; None if it never arrived."""

        def attempt() -> _Held | None:
            item = dynamo.get(self.client, self.table, _key(account, ORDER + client_order_id))
            if item is None:
                return None
            before, now = _from_item(item), self.clock()
            after = change(before.executed(self._quote(before)) if before.is_due(now) else before)
            if after == before:
                return before
            written = replace(after, version=before.version + 1, updated_at=now)
            dynamo.put(self.client, self.table, _to_item(written))
            return written

        # An order is executed once and ended once, so that the third reading always finds it at rest.
        return retrying_on_conflict(attempt)

    def _orders(self, account: str) -> Iterator[_Held]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :orders)",
            ExpressionAttributeValues=dynamo.to_item({":pk": _key(account, "")["pk"], ":orders": ORDER}),
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                yield _from_item(dynamo.from_item(item))


def _key(account: str, sort: str) -> dynamo.Key:
    return {"pk": f"ACCOUNT#{account}", "sk": sort}


def _to_item(it: _Held) -> dynamo.Item:
    return {
        **_key(it.account, ORDER + it.order.client_order_id),
        "symbol": it.order.symbol,
        "side": it.order.side.value,
        "quantity": plain(it.order.quantity),
        "limit_price": None if it.order.limit_price is None else plain(it.order.limit_price),
        "rule": it.rule.pack(),
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
        "due_at": it.due_at and format_time(it.due_at),
        "status": it.status.value,
        "filled": plain(it.filled),
        "amount": plain(it.amount),
        "fees": plain(it.fees),
        "reason": it.reason,
        "version": it.version,
    }


def _from_item(item: dynamo.Item) -> _Held:
    return _Held(
        account=item["pk"].removeprefix("ACCOUNT#"),
        order=BrokerOrder(
            client_order_id=item["sk"].removeprefix(ORDER),
            symbol=item["symbol"],
            side=Side(item["side"]),
            quantity=Decimal(item["quantity"]),
            limit_price=Decimal(item["limit_price"]) if "limit_price" in item else None,
        ),
        rule=unpack(item["rule"]),
        created_at=parse_time(item["created_at"]),
        updated_at=parse_time(item["updated_at"]),
        due_at=parse_time(item["due_at"]) if "due_at" in item else None,
        status=BrokerStatus(item["status"]),
        filled=Decimal(item["filled"]),
        amount=Decimal(item["amount"]),
        fees=Decimal(item["fees"]),
        reason=item.get("reason"),
        version=item["version"],
    )
