"""Orders, positions, markets and insights as items of the table `betting`."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.markets import Market
from trimtab.betting.domain.orders import Order, OrderStatus, Settlement
from trimtab.betting.domain.positions import Position
from trimtab.betting.domain.results import Side, verdict_of
from trimtab.betting.domain.tally import Stakes, Sum, Tally
from trimtab.contracts.events import pack_events
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.runtime.dynamodb.client import Item, Key
from trimtab.runtime.dynamodb.paging import Index

ORDER, METRICS, MARKET = "ORDER", "METRICS", "MARKET"
POSITION, INSIGHT, USER = "POSITION#", "INSIGHT#", "USER#"
BY_USER, BY_MARKET, BY_OPEN_USER, BY_OPEN_MARKET = (
    Index(name, f"{name}_pk", f"{name}_sk") for name in ("by_user", "by_market", "by_open_user", "by_open_market")
)
CLOSED, SETTLED = "CLOSED", "SETTLED"


def order_key(tenant_id: str, order_id: str) -> Key:
    """Where an order is kept."""
    return {"pk": f"T#{tenant_id}#O#{order_id}", "sk": ORDER}


def user_partition(tenant_id: str, user_id: str) -> str:
    """Where what belongs to a user is kept, and listed."""
    return f"T#{tenant_id}#U#{user_id}"


def market_partition(tenant_id: str, market_id: str) -> str:
    """Where what belongs to a market is kept, and listed."""
    return f"T#{tenant_id}#M#{market_id}"


def position_key(tenant_id: str, user_id: str, market_id: str) -> Key:
    """Where a user's position in a market is kept."""
    return {"pk": user_partition(tenant_id, user_id), "sk": POSITION + market_id}


def metrics_key(tenant_id: str, user_id: str) -> Key:
    """Where a user's sums are kept."""
    return {"pk": user_partition(tenant_id, user_id), "sk": METRICS}


def market_key(tenant_id: str, market_id: str) -> Key:
    """Where a closed market is kept; there is nothing while it is open."""
    return {"pk": market_partition(tenant_id, market_id), "sk": MARKET}


def on_roster(it: Position) -> Item:
    """The item that tells that a user has, or had, orders in a market; who places more there writes none of it."""
    key = {"pk": market_partition(it.tenant_id, it.market_id), "sk": USER + it.user_id}
    return {**key, "tenant_id": it.tenant_id, "market_id": it.market_id, "user_id": it.user_id}


def insight_key(tenant_id: str, market_id: str, selection_id: str) -> Key:
    """Where the newest insight of a selection is kept."""
    return {"pk": market_partition(tenant_id, market_id), "sk": INSIGHT + selection_id}


# Orders ----------------------------------------------------------------------------------------------------------


def from_order(it: Order) -> Item:
    """The order as an item; while it is open it stands in the sparse indexes."""
    of_user, of_market = user_partition(it.tenant_id, it.user_id), market_partition(it.tenant_id, it.market_id)
    place = f"{format_time(it.created_at)}#{it.order_id}"
    entries = {"by_user_pk": of_user, "by_user_sk": place, "by_market_pk": of_market, "by_market_sk": place}
    if it.is_open:
        entries |= {"by_open_user_pk": of_user, "by_open_user_sk": place}
        entries |= {"by_open_market_pk": of_market, "by_open_market_sk": f"{it.user_id}#{place}"}
    return {
        **order_key(it.tenant_id, it.order_id),
        **entries,
        "tenant_id": it.tenant_id,
        "user_id": it.user_id,
        "market_id": it.market_id,
        "selection_id": it.selection_id,
        "side": it.side.value,
        "stake": str(it.stake),
        "odds": str(it.odds),
        "request_hash": it.request_hash,
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
        "insight": it.insight and _pack_insight(it.insight),
        "status": it.status.value,
        "settlement": it.settlement and _pack_settlement(it.settlement),
        "version": it.version,
        "events": pack_events(it.events),
    }


def to_order(item: Mapping[str, Any]) -> Order:
    """The order in an item."""
    return Order(
        tenant_id=item["tenant_id"],
        order_id=item["pk"].rpartition("#")[2],
        user_id=item["user_id"],
        market_id=item["market_id"],
        selection_id=item["selection_id"],
        side=Side(item["side"]),
        stake=Decimal(item["stake"]),
        odds=Decimal(item["odds"]),
        request_hash=item["request_hash"],
        created_at=parse_time(item["created_at"]),
        updated_at=parse_time(item["updated_at"]),
        insight=_unpack_insight(item["insight"]) if "insight" in item else None,
        status=OrderStatus(item["status"]),
        settlement=_unpack_settlement(item["settlement"]) if "settlement" in item else None,
        version=item["version"],
    )


def _pack_settlement(it: Settlement) -> str:
    row = [
        it.verdict.text(),
        str(it.due),
        str(it.payout),
        str(it.commission),
        it.override_reason,
        it.by,
        format_time(it.at),
        it.request_hash,
        it.with_market,
    ]
    return json.dumps(row, separators=(",", ":"))


def _unpack_settlement(text: str) -> Settlement:
    verdict, due, payout, commission, override_reason, by, at, request_hash, with_market = json.loads(text)
    return Settlement(
        verdict=verdict_of(verdict),
        due=Decimal(due),
        payout=Decimal(payout),
        commission=Decimal(commission),
        override_reason=override_reason,
        by=by,
        at=parse_time(at),
        request_hash=request_hash,
        with_market=with_market,
    )


# Positions and sums ----------------------------------------------------------------------------------------------


def from_position(it: Position) -> Item:
    """The position as an item, selections packed: `{"selection": [cents, …, "when it changed"]}`."""
    selections = {
        selection_id: [*on.whole().values(), format_time(it.since(selection_id))]
        for selection_id, on in it.selections.items()
    }
    return {
        **position_key(it.tenant_id, it.user_id, it.market_id),
        "tenant_id": it.tenant_id,
        "user_id": it.user_id,
        "market_id": it.market_id,
        "selections": json.dumps(selections, separators=(",", ":")),
        "tally": json.dumps(list(it.tally.whole().values()), separators=(",", ":")),
        "market_commission": str(it.market_commission),
        "updated_at": format_time(it.updated_at),
        "version": it.version,
        "events": pack_events(it.events),
    }


def to_position(item: Mapping[str, Any]) -> Position:
    """The position in an item. Rows that were written before they had a time are of the position's."""
    rows = json.loads(item["selections"])
    sums = len(Stakes.__struct_fields__)
    return Position(
        tenant_id=item["tenant_id"],
        user_id=item["user_id"],
        market_id=item["market_id"],
        updated_at=parse_time(item["updated_at"]),
        selections={name: _sum(Stakes, row[:sums]) for name, row in rows.items()},
        changed_at={name: parse_time(row[sums]) for name, row in rows.items() if len(row) > sums},
        tally=_sum(Tally, json.loads(item["tally"])),
        market_commission=Decimal(item["market_commission"]),
        version=item["version"],
    )


def _sum(kind: Any, row: Sequence[int]) -> Any:
    """The sum whose members are these, in their order."""
    names = kind().whole()
    return kind.from_whole(dict(zip(names, row, strict=True)))


def added_to(kind: Sum) -> dict[str, int]:
    """What is added to which number of a user's sums; nothing is added to most of them."""
    return {name: number for name, number in kind.whole().items() if number}


# Markets and insights --------------------------------------------------------------------------------------------


def from_market(it: Market) -> Item:
    """The closed market as an item."""
    return {
        **market_key(it.tenant_id, it.market_id),
        "tenant_id": it.tenant_id,
        "market_id": it.market_id,
        "status": SETTLED if it.settled_at else CLOSED,
        "winners": json.dumps(it.winners, separators=(",", ":")),
        "voids": json.dumps(it.voids, separators=(",", ":")),
        "commission_rate": plain(it.commission_rate),
        "closed_by": it.by,
        "closed_at": format_time(it.closed_at),
        "settled_at": format_time(it.settled_at) if it.settled_at else None,
        "orders": it.orders,
        "version": 2 if it.settled_at else 1,
    }


def to_market(item: Mapping[str, Any]) -> Market:
    """The closed market in an item."""
    return Market(
        tenant_id=item["tenant_id"],
        market_id=item["market_id"],
        winners=tuple(json.loads(item["winners"])),
        voids=tuple(json.loads(item["voids"])),
        commission_rate=Decimal(item["commission_rate"]),
        by=item["closed_by"],
        closed_at=parse_time(item["closed_at"]),
        settled_at=parse_time(item["settled_at"]) if "settled_at" in item else None,
        orders=item.get("orders", 0),
    )


def insight_values(it: Insight) -> dict[str, str]:
    """The members of an insight as plain values."""
    return {
        "implied_probability": plain(it.implied_probability),
        "expected_value": plain(it.expected_value),
        "momentum": plain(it.momentum),
        "as_of": format_time(it.as_of),
    }


def to_insight(market_id: str, selection_id: str, values: Mapping[str, Any]) -> Insight:
    """The insight with these plain values."""
    return Insight(
        market_id=market_id,
        selection_id=selection_id,
        implied_probability=Decimal(values["implied_probability"]),
        expected_value=Decimal(values["expected_value"]),
        momentum=Decimal(values["momentum"]),
        as_of=parse_time(values["as_of"]),
    )


def _pack_insight(it: Insight) -> str:
    return json.dumps([it.market_id, it.selection_id, insight_values(it)], separators=(",", ":"))


def _unpack_insight(text: str) -> Insight:
    market_id, selection_id, values = json.loads(text)
    return to_insight(market_id, selection_id, values)
