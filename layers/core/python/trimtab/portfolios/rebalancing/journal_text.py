"""The journal of an execution as one text of its item: it is written before every step, so it is kept small.

A row an order. Client order ids are derived, so they are not stored. An item of DynamoDB holds 400 KB, and the journal
of many holdings that are reversed again and again would come to more: a long one is compressed.
"""

import json
import zlib
from base64 import b85decode, b85encode
from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Afterwards
from trimtab.portfolios.rebalancing.journal import BUYS, Execution, Terms, order_id_of
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus, SkippedLeg

LONG = 100_000
COMPRESSED = "z:"


def pack(it: Execution) -> str:
    """The text of the journal."""
    text = _text(it)
    return text if len(text) <= LONG else COMPRESSED + b85encode(zlib.compress(text.encode())).decode()


def _text(it: Execution) -> str:
    terms = it.terms
    return json.dumps(
        {
            "orders": [_row(order) for order in it.orders],
            "skipped": [[leg.symbol, leg.side.value, plain(leg.notional), leg.reason] for leg in it.skipped],
            "terms": [plain(terms.minimum_trade), terms.whole_shares, terms.on_partial_fill, terms.on_cancel],
            "deadline": format_time(it.deadline),
            "wave": it.wave,
            "wave_started_at": _time(it.wave_started_at),
            "fence": it.fence,
            "lease_until": it.lease_until,
            "wake_at": _time(it.wake_at),
            "passes": it.passes,
            "resumes": it.resumes,
            "is_cancelled": it.is_cancelled,
        },
        separators=(",", ":"),
    )


def unpack(text: str, rebalance_id: str) -> Execution:
    """The journal of the text."""
    if text.startswith(COMPRESSED):
        text = zlib.decompress(b85decode(text.removeprefix(COMPRESSED))).decode()
    it = json.loads(text)
    minimum_trade, whole_shares, on_partial_fill, on_cancel = it["terms"]
    return Execution(
        orders=tuple(_order(row, rebalance_id) for row in it["orders"]),
        skipped=tuple(
            SkippedLeg(symbol, Side(side), Decimal(notional), reason)
            for symbol, side, notional, reason in it["skipped"]
        ),
        terms=Terms(Decimal(minimum_trade), whole_shares, Afterwards(on_partial_fill), Afterwards(on_cancel)),
        deadline=parse_time(it["deadline"]),
        wave=it["wave"],
        wave_started_at=_instant(it["wave_started_at"]),
        fence=it["fence"],
        lease_until=it["lease_until"],
        wake_at=_instant(it["wake_at"]),
        passes=it["passes"],
        resumes=it["resumes"],
        is_cancelled=it["is_cancelled"],
    )


def _row(it: Order) -> list[Any]:
    numbers = [plain(each) for each in (it.quantity, it.price, it.filled, it.amount, it.fees)]
    limit = None if it.limit_price is None else plain(it.limit_price)
    state = [it.status.value, it.attempts, it.is_booked, it.broker_id, it.reason]
    return [it.symbol, it.side.value, it.wave, *numbers, limit, *state]


def _order(row: list[Any], rebalance_id: str) -> Order:
    symbol, side, wave, quantity, price, filled, amount, fees, limit, status, attempts, is_booked, broker_id, reason = (
        row
    )
    return Order(
        client_order_id=order_id_of(rebalance_id, symbol, wave),
        symbol=symbol,
        side=Side(side),
        quantity=Decimal(quantity),
        price=Decimal(price),
        wave=wave,
        limit_price=None if limit is None else Decimal(limit),
        status=OrderStatus(status),
        broker_id=broker_id,
        attempts=attempts,
        filled=Decimal(filled),
        amount=Decimal(amount),
        fees=Decimal(fees),
        reason=reason,
        reverses=order_id_of(rebalance_id, symbol, BUYS) if wave > BUYS else None,
        is_booked=is_booked,
    )


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else format_time(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
