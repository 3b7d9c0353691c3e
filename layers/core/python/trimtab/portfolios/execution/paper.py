"""The paper broker: fills orders at the stored quote, deterministically, and keeps them in a table of its own."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.stored_form import FORM, UnknownForm, form_version
from trimtab.kernel.clock import Clock, format_time, parse_time
from trimtab.kernel.currencies import USD, round_money
from trimtab.kernel.money import CONTEXT, HUNDRED, QUANTITY_PLACES, ZERO, plain
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict
from trimtab.portfolios.execution.broker import BrokerAccount, BrokerOrder, BrokerReport, BrokerStatus, OutcomeUnknown
from trimtab.portfolios.execution.paper_scenario import ScenarioRule, unpack_rule
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.rebalancing.orders import RefusalKind
from trimtab.runtime.dynamodb.client import Item, Key, deserialize, get_item, serialize
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PriceLookup = Callable[[str], Decimal | None]
"""Returns the price of the stored quote of a symbol, None if there is no quote."""

ACCOUNT, ORDER, TIME_OUTS = "ACCOUNT#", "ORDER#", "TIME_OUTS#"
_UNIT = Decimal(1).scaleb(-QUANTITY_PLACES)
_CANCELLED, _PARTIAL_FILL = "cancelled", "partial_fill"


class PaperOrder(Struct, frozen=True):
    """An order that has arrived, and the scenario rule applied to it. `due_at` is set until the execution."""

    account: str
    order: BrokerOrder
    rule: ScenarioRule
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
        """The report of the broker on this order."""
        order_id = self.order.client_order_id
        fill = (self.filled, self.amount, self.fees)
        return BrokerReport(order_id, self.status, f"paper-{order_id}", *fill, self.reason, self.refusal)

    @property
    def refusal(self) -> RefusalKind | None:
        """Kind of the refusal, None for an order that was not refused."""
        if self.status is not BrokerStatus.ENDED or self.reason in {_CANCELLED, _PARTIAL_FILL}:
            return None
        return RefusalKind.TEMPORARY if self.rule.refuse is None else self.rule.refusal

    @property
    def quantity_change(self) -> Decimal:
        """Change of the position by the fill, negative for a sell."""
        return self.filled if self.order.side is Side.BUY else -self.filled

    @property
    def cash_change(self) -> Decimal:
        """Change of cash by the fill, fees included."""
        return (-self.amount if self.order.side is Side.BUY else self.amount) - self.fees

    def is_due(self, now: datetime) -> bool:
        """Return whether the latency is over and the order is not executed yet."""
        return self.due_at is not None and self.due_at <= now

    def end(self, reason: str) -> "PaperOrder":
        """Return the order ended with the present fill."""
        return replace(self, status=BrokerStatus.ENDED, reason=reason, due_at=None)

    def execute(self, quote: Decimal | None) -> "PaperOrder":
        """Return the order filled at the quote according to the rule, or ended if a fill is impossible."""
        if self.rule.refuse is not None:
            return self.end(self.rule.refuse)
        if quote is None:
            return self.end("no_quote")
        price = CONTEXT.multiply(quote, self.rule.price_factor)
        if not _meets_limit(self.order, price):
            return self.end("limit_not_met")
        filled = _part(self.order.quantity, self.rule.fill_percent)
        amount = round_money(CONTEXT.multiply(filled, price), self.order.currency)
        executed = replace(
            self,
            due_at=None,
            filled=filled,
            amount=amount,
            fees=self.rule.commission.of(amount, self.order.currency) if filled else ZERO,
        )
        if filled == self.order.quantity:
            return replace(executed, status=BrokerStatus.FILLED)
        return executed.end(_PARTIAL_FILL) if self.rule.ends else executed

    # Stored form -------------------------------------------------------------------------------------------------

    def to_item(self) -> Item:
        """Return the plain values of the item; the rule is packed as JSON with named members."""
        return {
            **_item_key(self.account, ORDER + self.order.client_order_id),
            "symbol": self.order.symbol,
            "side": self.order.side.value,
            "quantity": plain(self.order.quantity),
            "limit_price": None if self.order.limit_price is None else plain(self.order.limit_price),
            "currency": None if self.order.currency == USD else self.order.currency,
            "rule": self.rule.pack(),
            "created_at": format_time(self.created_at),
            "updated_at": format_time(self.updated_at),
            "due_at": self.due_at and format_time(self.due_at),
            "status": self.status.value,
            "filled": plain(self.filled),
            "amount": plain(self.amount),
            "fees": plain(self.fees),
            "reason": self.reason,
            FORM: 1,
            "version": self.version,
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "PaperOrder":
        """Return the order of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                return cls._from_form_1(item)
            case version:
                raise UnknownForm("order of the paper broker", version)

    @classmethod
    def _from_form_1(cls, item: Mapping[str, Any]) -> "PaperOrder":
        return cls(
            account=item["pk"].removeprefix(ACCOUNT),
            order=BrokerOrder(
                client_order_id=item["sk"].removeprefix(ORDER),
                symbol=item["symbol"],
                side=Side(item["side"]),
                quantity=Decimal(item["quantity"]),
                limit_price=Decimal(item["limit_price"]) if "limit_price" in item else None,
                currency=item.get("currency", USD),
            ),
            rule=unpack_rule(item["rule"]),
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


def _item_key(account: str, sort_key: str) -> Key:
    return {"pk": ACCOUNT + account, "sk": sort_key}


def _meets_limit(order: BrokerOrder, price: Decimal) -> bool:
    limit = order.limit_price
    if limit is None:
        return True
    return price <= limit if order.side is Side.BUY else price >= limit


def _part(quantity: Decimal, percent: Decimal | None) -> Decimal:
    """Return the share of the quantity, rounded down so that a part is never the whole."""
    if percent is None:
        return quantity
    exact = CONTEXT.divide(CONTEXT.multiply(quantity, percent), HUNDRED)
    return exact.quantize(_UNIT, rounding=ROUND_FLOOR)


class PaperBroker(Struct, frozen=True):
    """A broker without a market, for tests and demonstrations.

    An order fills completely and at once at the stored quote, or ends: with `no_quote`, or with `limit_not_met` where
    the quote is worse than the limit price. Rules of the scenario change this behaviour.

    Positions and cash of an account are sums over the fills of its orders: both start at zero and may be negative, and
    deposits and splits are not included. The currency is that of the orders, USD without an order. Exceptions of
    DynamoDB pass through: the outcome is unknown then, and the caller's message is delivered again.
    """

    client: "DynamoDBClient"
    table: str
    prices: PriceLookup
    clock: Clock
    scenario: tuple[ScenarioRule, ...] = ()

    def submit(self, account: str, order: BrokerOrder) -> BrokerReport:
        """See `Broker.submit`."""
        rule = self._rule(account, order)
        times_out = rule.time_out is not None and self._count_time_out(account, order.client_order_id, rule.times)
        if times_out and rule.time_out == "before":
            raise OutcomeUnknown(f"Scenario: {order.client_order_id} times out before its arrival.")
        report = self._accept(account, order, rule)
        if times_out:
            raise OutcomeUnknown(f"Scenario: {order.client_order_id} times out after its arrival.")
        return report

    def look_up(self, account: str, client_order_id: str) -> BrokerReport | None:
        """See `Broker.look_up`. An order whose latency is over is executed now, at the present quote."""
        found = self._update(account, client_order_id, lambda order: order)
        return found.report if found else None

    def cancel(self, account: str, client_order_id: str) -> None:
        """See `Broker.cancel`. An order whose latency is over is executed first."""

        def cancelled(order: PaperOrder) -> PaperOrder:
            return order.end(_CANCELLED) if order.status is BrokerStatus.OPEN else order

        self._update(account, client_order_id, cancelled)

    def positions(self, account: str) -> Mapping[str, Decimal]:
        """See `Broker.positions`. Symbols with a quantity of zero are left out."""
        quantities: dict[str, Decimal] = {}
        for paper_order in self._orders(account):
            symbol = paper_order.order.symbol
            quantities[symbol] = quantities.get(symbol, ZERO) + paper_order.quantity_change
        return {symbol: quantity for symbol, quantity in sorted(quantities.items()) if quantity}

    def account(self, account: str) -> BrokerAccount:
        """See `Broker.account`. Cash is the sum over all fills, fees included."""
        cash, currency = ZERO, USD
        for paper_order in self._orders(account):
            cash, currency = cash + paper_order.cash_change, paper_order.order.currency
        return BrokerAccount(account, round_money(cash, currency), currency, "ACTIVE")

    def _rule(self, account: str, order: BrokerOrder) -> ScenarioRule:
        def nth() -> int:
            orders = [paper_order.order for paper_order in self._orders(account)]
            others = [each for each in orders if each.client_order_id != order.client_order_id]
            return 1 + sum(other.symbol == order.symbol for other in others)

        return next((rule for rule in self.scenario if rule.match.fits(account, order, nth)), ScenarioRule())

    def _count_time_out(self, account: str, client_order_id: str, times: int) -> bool:
        """Return whether the submission is among the first `times`; the version of the item counts submissions."""
        key = _item_key(account, TIME_OUTS + client_order_id)
        item = get_item(self.client, self.table, key)
        count = item["version"] if item else 0
        if count >= times:
            return False
        try:
            put_item(self.client, self.table, {**key, FORM: 1, "version": count + 1})
        except ConditionFailed:
            raise OutcomeUnknown(f"{client_order_id} is submitted twice at the same time.") from None
        return True

    def _accept(self, account: str, order: BrokerOrder, rule: ScenarioRule) -> BrokerReport:
        now = self.clock()
        accepted = PaperOrder(account, order, rule, now, now, due_at=now + rule.latency)
        if not rule.latency:
            accepted = accepted.execute(self._quote(accepted))
        try:
            put_item(self.client, self.table, accepted.to_item())
        except ConditionFailed:
            first = self.look_up(account, order.client_order_id)
            if first is None:
                raise OutcomeUnknown(f"{order.client_order_id} conflicts with a concurrent write.") from None
            return first
        return accepted.report

    def _quote(self, paper_order: PaperOrder) -> Decimal | None:
        return None if paper_order.rule.refuse is not None else self.prices(paper_order.order.symbol)

    def _update(
        self, account: str, client_order_id: str, change: Callable[[PaperOrder], PaperOrder]
    ) -> PaperOrder | None:
        """Execute the order if due, then change and store it; return None if the order never arrived."""

        def attempt() -> PaperOrder | None:
            item = get_item(self.client, self.table, _item_key(account, ORDER + client_order_id))
            if item is None:
                return None
            before, now = PaperOrder.from_item(item), self.clock()
            after = change(before.execute(self._quote(before)) if before.is_due(now) else before)
            if after == before:
                return before
            written = replace(after, version=before.version + 1, updated_at=now)
            put_item(self.client, self.table, written.to_item())
            return written

        # An order is executed once and ended once, so the third attempt always succeeds.
        return retry_on_conflict(attempt)

    def _orders(self, account: str) -> Iterator[PaperOrder]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :orders)",
            ExpressionAttributeValues=serialize({":pk": _item_key(account, "")["pk"], ":orders": ORDER}),
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                yield PaperOrder.from_item(deserialize(item))
