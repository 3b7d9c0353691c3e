"""Portfolios and rebalances in DynamoDB, and the queue that asks for decisions.

One item is one aggregate. Weights are packed into one text each: a map of ninety assets costs three times the time
and twice the size.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.events import pack_events
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.ledger.trades import CashEntry
from trimtab.portfolios.portfolio import holdings_text
from trimtab.portfolios.portfolio.model import (
    Lock,
    Portfolio,
    PortfolioStatus,
    ReportMark,
    Trigger,
    WatchDue,
    Watching,
)
from trimtab.portfolios.portfolio.pending_jobs import OpenWork
from trimtab.portfolios.portfolio.policy import Mode, Policy, policy_of
from trimtab.portfolios.ports import Listing
from trimtab.portfolios.rebalancing import journal_text as journal
from trimtab.portfolios.rebalancing.drift import Leg
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, Why
from trimtab.runtime import dynamo

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_TIME = dynamo.Index("by_time", "pk", "by_time")
BY_USER = dynamo.Index("by_user", "by_user_pk", "by_user_sk")
BY_TENANT = dynamo.Index("by_tenant", "by_tenant_pk", "by_tenant_sk")
PORTFOLIO = "PORTFOLIO"
REBALANCE = "REBALANCE#"
CASH = "CASH#"


class DynamoStore(Struct, frozen=True):
    """The store of portfolios and rebalances in the table `portfolios`."""

    client: "DynamoDBClient"
    table: str

    def portfolio(self, tenant_id: str, portfolio_id: str) -> Portfolio | None:
        """See `Store.portfolio`."""
        item = dynamo.get(self.client, self.table, portfolio_key(tenant_id, portfolio_id))
        return to_portfolio(item) if item else None

    def rebalance(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> Rebalance | None:
        """See `Store.rebalance`."""
        item = dynamo.get(self.client, self.table, _rebalance_key(tenant_id, portfolio_id, rebalance_id))
        return to_rebalance(item) if item else None

    def rebalance_at(self, tenant_id: str, portfolio_id: str, position: Sequence[Any]) -> Rebalance | None:
        """See `Store.rebalance_at`."""
        dynamo.check_position(BY_TIME, position)
        return self.rebalance(tenant_id, portfolio_id, position[1].removeprefix(REBALANCE))

    def position_of(self, rebalance: Rebalance) -> list[Any]:
        """See `Store.position_of`."""
        item = from_rebalance(rebalance)
        return [item[name] for name in BY_TIME.key_attributes]

    def both(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> tuple[Portfolio | None, Rebalance | None]:
        """See `Store.both`."""
        keys = [portfolio_key(tenant_id, portfolio_id), _rebalance_key(tenant_id, portfolio_id, rebalance_id)]
        items = {item["sk"]: item for item in dynamo.batch_get(self.client, self.table, keys, consistent=True)}
        portfolio, rebalance = (items.get(key["sk"]) for key in keys)
        return to_portfolio(portfolio) if portfolio else None, to_rebalance(rebalance) if rebalance else None

    def insert(self, portfolio: Portfolio) -> Portfolio | None:
        """See `Store.insert`."""
        existing = self._insert(from_portfolio(portfolio))
        return to_portfolio(existing) if existing else None

    def request(self, report: Rebalance) -> Rebalance | None:
        """See `Store.request`."""
        existing = self._insert(from_rebalance(report))
        return to_rebalance(existing) if existing else None

    def _insert(self, item: dynamo.Item) -> dynamo.Item | None:
        try:
            dynamo.put(self.client, self.table, item)
        except ConditionFailed as refused:
            if not refused.failed:
                raise  # a transaction is at work on it: whether it will stand there is not known yet
            existing: dynamo.Item = refused.failed[0]
            return existing
        return None

    def put(self, *things: Portfolio | Rebalance | CashEntry) -> None:
        """See `Store.put`."""
        items = [_from(it) for it in things]
        if len(items) == 1:
            dynamo.put(self.client, self.table, items[0])
        else:
            dynamo.transact(self.client, [{"Put": dynamo.guarded_put(self.table, item)} for item in items])

    def portfolios(self, tenant_id: str, user_id: str | None, *, limit: int, after: Any) -> Listing[Portfolio]:
        """See `Store.portfolios`. The indexes are global: a portfolio shows up a moment after its creation."""
        index = BY_TENANT if user_id is None else BY_USER
        partition = _tenant(tenant_id) if user_id is None else _user(tenant_id, user_id)
        page = dynamo.query(self.client, self.table, index, partition, limit=limit, after=after)
        return Listing([to_portfolio(item) for item in page.items], page.next_position)

    def rebalances(self, tenant_id: str, portfolio_id: str, *, limit: int, after: Any) -> Listing[Rebalance]:
        """See `Store.rebalances`."""
        partition = portfolio_key(tenant_id, portfolio_id)["pk"]
        kind = ("begins_with(#s, :kind)", {":kind": REBALANCE})
        page = dynamo.query(self.client, self.table, BY_TIME, partition, kind, limit=limit, after=after)
        return Listing([to_rebalance(item) for item in page.items], page.next_position)


# Keys ------------------------------------------------------------------------------------------------------------


def _tenant(tenant_id: str) -> str:
    return f"T#{tenant_id}"


def _user(tenant_id: str, user_id: str) -> str:
    return f"T#{tenant_id}#U#{user_id}"


def portfolio_key(tenant_id: str, portfolio_id: str) -> dynamo.Key:
    return {"pk": f"T#{tenant_id}#P#{portfolio_id}", "sk": PORTFOLIO}


def _rebalance_key(tenant_id: str, portfolio_id: str, rebalance_id: str) -> dynamo.Key:
    return {"pk": f"T#{tenant_id}#P#{portfolio_id}", "sk": REBALANCE + rebalance_id}


def open_work(it: OpenWork, id: str) -> dict[str, str]:
    """The keys under which the sweeper finds it while it waits: a shard, and when it should have been decided."""
    if not it.is_open or it.is_stuck:
        return {}
    return {"open_work_pk": f"OPEN#{id[-1]}", "open_work_sk": format_time(it.due_at)}


# Portfolios ------------------------------------------------------------------------------------------------------


def from_portfolio(it: Portfolio) -> dynamo.Item:
    created = format_time(it.created_at)
    return {
        **portfolio_key(it.tenant_id, it.portfolio_id),
        "by_user_pk": _user(it.tenant_id, it.user_id),
        "by_user_sk": created,
        "by_tenant_pk": _tenant(it.tenant_id),
        "by_tenant_sk": created,
        "tenant_id": it.tenant_id,
        "user_id": it.user_id,
        "name": it.name,
        "currency": it.currency,
        "allocation": _pack(it.allocation) if it.allocation else None,
        "policy": _pack_policy(it.policy),
        "cash": None if it.cash is None else plain(it.cash),
        "request_hash": it.request_hash,
        "status": it.status.value,
        "version": it.version,
        "revision": it.revision,
        "last_as_of": it.last_report and format_time(it.last_report.as_of),
        "last_report": it.last_report and it.last_report.rebalance_id,
        "rebalanced_at": _time(it.rebalanced_at),
        "reported_at": _time(it.reported_at),
        "updated_at": format_time(it.updated_at),
        "holdings": holdings_text.pack(it.holdings.values()),
        "lock": it.lock and f"{_time(it.lock.until) or ''}|{it.lock.owner}|{it.lock.reason}",
        "stale_reason": it.stale_reason,
        **_watching_item(it),
        "events": pack_events(it.events),
    }


def to_portfolio(item: dynamo.Item) -> Portfolio:
    return Portfolio(
        tenant_id=item["tenant_id"],
        portfolio_id=item["pk"].rpartition("#")[2],
        user_id=item["user_id"],
        name=item["name"],
        currency=item["currency"],
        allocation=_unpack(item.get("allocation", "")),
        policy=_unpack_policy(item.get("policy")),
        cash=Decimal(item["cash"]) if "cash" in item else None,
        request_hash=item["request_hash"],
        created_at=parse_time(item["by_user_sk"]),
        updated_at=parse_time(item["updated_at"]),
        status=PortfolioStatus(item["status"]),
        version=item["version"],
        revision=item["revision"],
        last_report=ReportMark(parse_time(item["last_as_of"]), item["last_report"]) if "last_report" in item else None,
        rebalanced_at=_instant(item.get("rebalanced_at")),
        reported_at=_instant(item.get("reported_at")),
        holdings={holding.symbol: holding for holding in holdings_text.unpack(item.get("holdings", ""))},
        lock=_unpack_lock(item.get("lock")),
        stale_reason=item.get("stale_reason"),
        watching=_to_watching(item),
    )


def _watching_item(it: Portfolio) -> dynamo.Item:
    """`watch_due` is what the stream's filter looks for; the keys of `calendar_due` are what time asks for."""
    at, watching = it.watching.next_at, it.watching
    return {
        "watch_begun": watching.begun or None,
        "watch_done": watching.done or None,
        "watch_decided": watching.decided if watching.done else None,
        "watched": ",".join(watching.symbols) or None,
        "watch_due": watching.due and watching.due.value,
        "watch_pending": watching.pending and watching.pending.value,
        "calendar_at": _time(watching.calendar_at),
        "watch_kept": watching.kept and watching.kept.value,
        "again_at": _time(watching.again_at),
        "calendar_due_pk": f"DUE#{it.portfolio_id[-1]}" if at else None,
        "calendar_due_sk": _time(at),
    }


def _to_watching(item: dynamo.Item) -> Watching:
    return Watching(
        begun=item.get("watch_begun", 0),
        done=item.get("watch_done", 0),
        decided=item["watch_decided"] if "watch_decided" in item else item.get("watch_done", 0),
        symbols=tuple(item["watched"].split(",")) if "watched" in item else (),
        due=WatchDue(item["watch_due"]) if "watch_due" in item else None,
        pending=WatchDue(item["watch_pending"]) if "watch_pending" in item else None,
        calendar_at=_instant(item.get("calendar_at")),
        kept=Trigger(item["watch_kept"]) if "watch_kept" in item else None,
        again_at=_instant(item.get("again_at", item.get("cooldown_ends"))),  # as it was called once
    )


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else format_time(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


def _unpack_lock(text: str | None) -> Lock | None:
    if text is None:
        return None
    until, owner, reason = text.split("|", 2)
    return Lock(owner, reason, parse_time(until) if until else None)


def _pack_policy(policy: Policy) -> str | None:
    if policy == Policy():
        return None
    return json.dumps(policy.columns(), separators=(",", ":"))


def _unpack_policy(text: str | None) -> Policy:
    return Policy() if text is None else policy_of(json.loads(text))


# Rebalances ------------------------------------------------------------------------------------------------------


def from_rebalance(it: Rebalance) -> dynamo.Item:
    return {
        **_rebalance_key(it.tenant_id, it.portfolio_id, it.rebalance_id),
        "by_time": REBALANCE + format_time(it.created_at),
        **open_work(it, it.rebalance_id),
        "tenant_id": it.tenant_id,
        "user_id": it.user_id,
        "name": it.name,
        "request_id": it.request_id,
        "request_hash": it.request_hash,
        # A decided leg names its reported weight: the weights are kept once.
        "weights": None if it.legs else _pack(it.weights) or None,
        "legs": _pack_legs(it.legs) if it.legs else None,
        "as_of": format_time(it.as_of),
        "as_of_given": it.as_of_given,
        "status": it.status.value,
        "trigger": None if it.trigger is Trigger.REPORT else it.trigger.value,
        "mode": it.mode and it.mode.value,
        "execution": it.execution and journal.pack(it.execution),
        "resolution": it.resolution and json.dumps(it.resolution, separators=(",", ":")),
        "why": it.why and json.dumps([it.why.rule, it.why.detail, it.why.facts], separators=(",", ":")),
        "resends": it.resends or None,
        "is_stuck": it.is_stuck or None,
        "version": it.version,
        "updated_at": format_time(it.updated_at),
        "events": pack_events(it.events),
    }


def to_rebalance(item: dynamo.Item) -> Rebalance:
    legs = _unpack_legs(item["legs"]) if "legs" in item else ()
    rebalance_id = item["sk"].removeprefix(REBALANCE)
    return Rebalance(
        tenant_id=item["tenant_id"],
        portfolio_id=item["pk"].rpartition("#")[2],
        rebalance_id=rebalance_id,
        user_id=item["user_id"],
        name=item["name"],
        request_id=item["request_id"],
        request_hash=item["request_hash"],
        weights={leg.asset: leg.drifted for leg in legs} if legs else _unpack(item.get("weights", "")),
        as_of=parse_time(item["as_of"]),
        as_of_given=item["as_of_given"],
        created_at=parse_time(item["by_time"].removeprefix(REBALANCE)),
        updated_at=parse_time(item["updated_at"]),
        status=RebalanceStatus(item["status"]),
        legs=legs,
        trigger=Trigger(item.get("trigger", Trigger.REPORT)),
        mode=Mode(item["mode"]) if "mode" in item else None,
        why=Why(*json.loads(item["why"])) if "why" in item else None,
        execution=journal.unpack(item["execution"], rebalance_id) if "execution" in item else None,
        resolution=json.loads(item["resolution"]) if "resolution" in item else None,
        resends=item.get("resends", 0),
        is_stuck=item.get("is_stuck", False),
        version=item["version"],
    )


# Packed texts: `stocks:60,bonds:40`; no asset key holds a colon or a comma ----------------------------------------


def _pack(weights: Mapping[str, Decimal]) -> str:
    return ",".join(f"{asset}:{plain(weight)}" for asset, weight in weights.items())


def _unpack(text: str) -> dict[str, Decimal]:
    return {asset: Decimal(weight) for asset, weight in _rows(text)}


def _pack_legs(legs: Iterable[Leg]) -> str:
    return ",".join(f"{leg.asset}:{plain(leg.drifted)}:{plain(leg.target)}:{plain(leg.change)}" for leg in legs)


def _unpack_legs(text: str) -> tuple[Leg, ...]:
    return tuple(Leg(asset, *(Decimal(number) for number in numbers)) for asset, *numbers in _rows(text))


def _rows(text: str) -> list[list[str]]:
    return [row.split(":") for row in text.split(",")] if text else []


def _from(thing: Portfolio | Rebalance | CashEntry) -> dynamo.Item:
    match thing:
        case Portfolio():
            return from_portfolio(thing)
        case Rebalance():
            return from_rebalance(thing)
        case CashEntry():
            return from_cash_entry(thing)


def from_cash_entry(it: CashEntry) -> dynamo.Item:
    """The item of a cash entry."""
    return {
        **portfolio_key(it.tenant_id, it.portfolio_id),
        "sk": CASH + it.ref_id,
        "by_time": f"{CASH}{format_time(it.executed_at)}#{it.ref_id}",
        "tenant_id": it.tenant_id,
        "type": it.type.value,
        "amount": plain(it.amount),
        "balance": plain(it.balance),
        "executed_at": format_time(it.executed_at),
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.created_at),
        "version": it.version,
        "events": pack_events(it.events),
    }
