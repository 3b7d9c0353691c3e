"""Alpaca's trading API v2 as a broker."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any
from urllib.parse import quote

from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, ZERO, plain, to_money, to_places
from trimtab.portfolios.execution.alpaca_http import AlpacaHttp
from trimtab.portfolios.execution.broker import (
    BrokerAccount,
    BrokerOrder,
    BrokerReport,
    BrokerStatus,
    NotSent,
    OutcomeUnknown,
)
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.runtime.outbound import Answer

ORDERS = "/v2/orders"
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,18})?")
_STATUSES = {
    **dict.fromkeys(
        (
            "new",
            "accepted",
            "pending_new",
            "accepted_for_bidding",
            "held",
            "partially_filled",
            "pending_cancel",
            "pending_replace",
            "pending_review",
            "stopped",
            "suspended",
            "calculated",
        ),
        BrokerStatus.OPEN,
    ),
    "filled": BrokerStatus.FILLED,
    # Our orders are for the day: done for it is over.
    **dict.fromkeys(("done_for_day", "canceled", "expired", "rejected", "replaced"), BrokerStatus.ENDED),
}


@dataclass(frozen=True, slots=True)
class AlpacaBroker:
    """The one account that the keys belong to.

    The trading API knows no other accounts, so that the parameter `account` is ignored: whoever configures this
    broker for several portfolios lets them share positions and cash there. Orders are fractional, market or limit,
    and for the day. Alpaca charges regulatory fees by the day and not by the order: a report holds no fees but a
    commission.
    """

    http: AlpacaHttp

    def submit(self, account: str, order: BrokerOrder) -> BrokerReport:
        """See `Broker.submit`. What was not answered is looked up once before it is called unknown."""
        try:
            answer = self.http.call("POST", ORDERS, body=_request(order))
        except OutcomeUnknown:
            found = None
            with suppress(OutcomeUnknown):  # what was sent is not unsent because nobody can look it up
                found = self.look_up(account, order.client_order_id)
            if found is None:
                raise
            return found
        if answer.status in {200, 201}:
            return _report(answer.body)
        if answer.status in {403, 422}:
            return self._refused(account, order, answer)
        raise _unexpected("POST", answer)

    def _refused(self, account: str, order: BrokerOrder, answer: Answer) -> BrokerReport:
        # A repeat may be refused for what its first took effect on (its id, the cash, the position): ask for that.
        try:
            found = self.look_up(account, order.client_order_id)
        except NotSent as error:
            raise OutcomeUnknown(str(error)) from error  # the order was
        if found is not None:
            return found
        if "client_order_id" in answer.message and "unique" in answer.message:
            raise OutcomeUnknown(f"Alpaca has {order.client_order_id} and does not find it yet.")
        return BrokerReport(order.client_order_id, BrokerStatus.ENDED, reason=answer.message)

    def look_up(self, account: str, client_order_id: str) -> BrokerReport | None:  # noqa: ARG002 - see the class
        """See `Broker.look_up`."""
        found = self._find(client_order_id)
        return None if found is None else _report(found)

    def _find(self, client_order_id: str) -> Any:
        answer = self.http.call("GET", f"{ORDERS}:by_client_order_id", query={"client_order_id": client_order_id})
        if answer.status == 404:
            return None
        return _expect("GET", answer)

    def cancel(self, account: str, client_order_id: str) -> None:  # noqa: ARG002 - see the class
        """See `Broker.cancel`. Nothing happens to an order that is over, or that never arrived."""
        found = self._find(client_order_id)
        if found is None or _report(found).status is not BrokerStatus.OPEN:
            return
        answer = self.http.call("DELETE", f"{ORDERS}/{quote(_text(found, 'id'), safe='')}")
        if answer.status not in {200, 204, 404, 422}:  # the last two: it ended in between
            raise _unexpected("DELETE", answer)

    def positions(self, account: str) -> Mapping[str, Decimal]:  # noqa: ARG002 - see the class
        """See `Broker.positions`: those of the keys' account."""
        rows = _expect("GET", self.http.call("GET", "/v2/positions"))
        if not isinstance(rows, list):
            raise _unreadable("positions")
        return {_text(row, "symbol"): to_places(_number(row, "qty"), QUANTITY_PLACES) for row in rows}

    def account(self, account: str) -> BrokerAccount:
        """See `Broker.account`: the keys' account, under the name that was asked for."""
        body = _expect("GET", self.http.call("GET", "/v2/account"))
        return BrokerAccount(account, to_money(_number(body, "cash")), _text(body, "currency"), _text(body, "status"))


def rounded_limit(order: BrokerOrder) -> Decimal | None:
    """The order's limit price in Alpaca's increments, a cent from $1 on and a hundredth of it below.

    Rounded so that it is never worse than what was asked for: down for a buy, up for a sell.
    """
    if order.limit_price is None:
        return None
    unit = Decimal("0.01") if order.limit_price >= 1 else Decimal("0.0001")
    return order.limit_price.quantize(unit, rounding=ROUND_FLOOR if order.side is Side.BUY else ROUND_CEILING)


def _request(order: BrokerOrder) -> dict[str, str]:
    limit = rounded_limit(order)
    priced = {"type": "market"} if limit is None else {"type": "limit", "limit_price": plain(limit)}
    return {
        "symbol": order.symbol,
        "qty": plain(order.quantity),
        "side": order.side.value.lower(),
        "time_in_force": "day",
        "client_order_id": order.client_order_id,
        **priced,
    }


def _report(body: Any) -> BrokerReport:
    filled = _number(body, "filled_qty", ZERO)
    price = _number(body, "filled_avg_price", ZERO)
    name = _text(body, "status")
    # A name that is new to us says nothing: the order stays open, to be looked up again.
    status = _STATUSES.get(name, BrokerStatus.OPEN)
    if filled and filled >= _number(body, "qty", ZERO):
        status = BrokerStatus.FILLED
    return BrokerReport(
        client_order_id=_text(body, "client_order_id"),
        status=status,
        broker_id=_text(body, "id"),
        filled=to_places(filled, QUANTITY_PLACES),
        amount=to_money(CONTEXT.multiply(filled, price)),
        fees=to_money(_number(body, "commission", ZERO)),
        reason=name if status is BrokerStatus.ENDED else None,
    )


def _expect(method: str, answer: Answer) -> Any:
    if answer.status != 200:
        raise _unexpected(method, answer)
    return answer.body


def _unexpected(method: str, answer: Answer) -> OutcomeUnknown:
    return OutcomeUnknown(f"{method}: Alpaca answers {answer.status}: {answer.message}")


def _unreadable(name: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"Alpaca's answer has no readable {name}.")


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(value, str) or not value:
        raise _unreadable(name)
    return value


def _number(body: Any, name: str, default: Decimal | None = None) -> Decimal:
    """The number of that name in plain digits; the default where it is null or absent."""
    value = body.get(name) if isinstance(body, Mapping) else None
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise _unreadable(name)
    return Decimal(value)
