"""Broker adapter for the trading API v2 of Alpaca."""

import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, ZERO, plain, to_money, to_places
from trimtab.portfolios.execution.alpaca_http import AlpacaHttp
from trimtab.portfolios.execution.broker import (
    BrokerAccount,
    BrokerOrder,
    BrokerReport,
    BrokerStatus,
    OrderNotSent,
    OutcomeUnknown,
)
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.rebalancing.orders import RefusalKind
from trimtab.runtime.http_client import HttpResponse

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
    # Orders are placed for the day, so `done_for_day` is final.
    **dict.fromkeys(("done_for_day", "canceled", "expired", "rejected", "replaced"), BrokerStatus.ENDED),
}


_PERMANENT = re.compile(r"not (found|tradable|active|fractionable)|restricted", re.IGNORECASE)
"""Messages of refusals that concern the symbol, so that the same order would be refused again."""


class AlpacaBroker(Struct, frozen=True):
    """Broker adapter for the one Alpaca account that the API keys belong to.

    The trading API has no sub-accounts, so the parameter `account` is ignored: several portfolios share positions and
    cash at Alpaca. Orders are fractional, market or limit, and for the day. Reports contain the commission only,
    because Alpaca charges regulatory fees per day and not per order.
    """

    http: AlpacaHttp

    def submit(self, account: str, order: BrokerOrder) -> BrokerReport:
        """See `Broker.submit`. After a submission without an answer the order is looked up once."""
        try:
            answer = self.http.call("POST", ORDERS, body=_request(order))
        except OutcomeUnknown:
            found = None
            with suppress(OutcomeUnknown):  # a failed look-up does not change the outcome of the submission
                found = self.look_up(account, order.client_order_id)
            if found is None:
                raise
            return found
        if answer.status in {200, 201}:
            return _report(answer.body)
        if answer.status in {403, 422}:
            return self._refused(account, order, answer)
        raise _unexpected("POST", answer)

    def _refused(self, account: str, order: BrokerOrder, answer: HttpResponse) -> BrokerReport:
        # Alpaca also refuses a resend of an order that it has accepted before (duplicate id, cash spent).
        try:
            found = self.look_up(account, order.client_order_id)
        except OrderNotSent as error:
            raise OutcomeUnknown(str(error)) from error  # the order itself was sent
        if found is not None:
            return found
        if "client_order_id" in answer.message and "unique" in answer.message:
            text = f"Alpaca refused {order.client_order_id} as a duplicate, but does not find the order yet."
            raise OutcomeUnknown(text)
        return BrokerReport(
            order.client_order_id, BrokerStatus.ENDED, reason=answer.message, refusal=_refusal_kind(answer.message)
        )

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
        """See `Broker.cancel`. Has no effect on an order that has ended or never arrived."""
        found = self._find(client_order_id)
        if found is None or _report(found).status is not BrokerStatus.OPEN:
            return
        answer = self.http.call("DELETE", f"{ORDERS}/{quote(_text(found, 'id'), safe='')}")
        if answer.status not in {200, 204, 404, 422}:  # 404 and 422: the order ended in between
            raise _unexpected("DELETE", answer)

    def positions(self, account: str) -> Mapping[str, Decimal]:  # noqa: ARG002 - see the class
        """See `Broker.positions`."""
        rows = _expect("GET", self.http.call("GET", "/v2/positions"))
        if not isinstance(rows, list):
            raise _unreadable("positions")
        return {_text(row, "symbol"): to_places(_number(row, "qty"), QUANTITY_PLACES) for row in rows}

    def account(self, account: str) -> BrokerAccount:
        """See `Broker.account`. The result has the account name of the request, not Alpaca's account id."""
        body = _expect("GET", self.http.call("GET", "/v2/account"))
        return BrokerAccount(account, to_money(_number(body, "cash")), _text(body, "currency"), _text(body, "status"))


def rounded_limit(order: BrokerOrder) -> Decimal | None:
    """Return the limit price in Alpaca's price increments: 0.01 USD from 1 USD upwards, 0.0001 USD below.

    A buy limit is rounded down and a sell limit up, so that the order never fills at a worse price.
    """
    if order.limit_price is None:
        return None
    unit = Decimal("0.01") if order.limit_price >= 1 else Decimal("0.0001")
    return order.limit_price.quantize(unit, rounding=ROUND_FLOOR if order.side is Side.BUY else ROUND_CEILING)


def _refusal_kind(message: str) -> RefusalKind:
    """Return the kind of a refusal by Alpaca's message: codes such as 42210000 stand for many different faults."""
    return RefusalKind.PERMANENT if _PERMANENT.search(message) else RefusalKind.TEMPORARY


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
    # An unknown status keeps the order open: the next look-up decides.
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
        refusal=RefusalKind.TEMPORARY if name == "rejected" else None,
    )


def _expect(method: str, answer: HttpResponse) -> Any:
    if answer.status != 200:
        raise _unexpected(method, answer)
    return answer.body


def _unexpected(method: str, answer: HttpResponse) -> OutcomeUnknown:
    return OutcomeUnknown(f"{method}: Alpaca answered {answer.status}: {answer.message}")


def _unreadable(name: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"Alpaca's answer has no valid `{name}`.")


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(value, str) or not value:
        raise _unreadable(name)
    return value


def _number(body: Any, name: str, default: Decimal | None = None) -> Decimal:
    """Return the member as a number; the default where the member is null or absent."""
    value = body.get(name) if isinstance(body, Mapping) else None
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise _unreadable(name)
    return Decimal(value)
