"""Stored form of a portfolio: the attributes of the item, and the members in an item.

Weights, policy, holdings and brake are JSON texts with named members: they are rewritten with every version, and maps
take up to twice the bytes. Members that equal their defaults are left out.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.contracts.stored_form import from_attributes, pack, to_attributes, unpack
from trimtab.contracts.traces import TRACE
from trimtab.kernel.clock import format_time
from trimtab.portfolios.portfolio import holdings_text
from trimtab.portfolios.portfolio.brake import Brake
from trimtab.portfolios.portfolio.keys import (
    attention_partition,
    item_key,
    portfolio_id_in,
    tenant_partition,
    user_partition,
)
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.watch_state import WatchState
from trimtab.portfolios.portfolio.weights_text import pack_weights, unpack_weights

if TYPE_CHECKING:
    from trimtab.portfolios.portfolio.model import Portfolio

_ATTRIBUTES = (
    *("tenant_id", "user_id", "name", "currency", "cash", "request_hash", "updated_at", "status", "revision"),
    *("rebalanced_at", "reported_at", "stale_reason", "stale_since"),
)
_DEFAULTS = {"status": PortfolioStatus.ACTIVE, "revision": 1}


def attributes_of(portfolio: "Portfolio") -> dict[str, Any]:
    """Return the plain values of the portfolio's item. The filter of the stream looks at `evaluation_due`."""
    created, next_at, since = format_time(portfolio.created_at), portfolio.next_check_at, portfolio.attention_since
    changes = portfolio.policy.non_defaults()
    attributes = {name: getattr(portfolio, name) for name in _ATTRIBUTES}
    return {
        **item_key(portfolio.tenant_id, portfolio.portfolio_id),
        "by_user_pk": user_partition(portfolio.tenant_id, portfolio.user_id),
        "by_user_sk": created,
        "by_tenant_pk": tenant_partition(portfolio.tenant_id),
        "by_tenant_sk": created,
        "calendar_due_pk": f"DUE#{portfolio.portfolio_id[-1]}" if next_at else None,
        "calendar_due_sk": format_time(next_at) if next_at else None,
        "pending_jobs_pk": attention_partition(portfolio.tenant_id) if since else None,
        "pending_jobs_sk": format_time(since) if since else None,
        **portfolio.record_attributes(),
        # Set by the write, for the check that follows.
        **({TRACE: None} if portfolio.is_automatic and portfolio.watch_state.evaluation_due else {}),
        **to_attributes({name: value for name, value in attributes.items() if value != _DEFAULTS.get(name)}),
        **to_attributes(portfolio.watch_state),
        **_prefix("cash", portfolio.cash_rule),
        **_prefix("lock", portfolio.lock),
        **_prefix("last_report", portfolio.last_report),
        **_prefix("traded", portfolio.traded_today),
        "target": pack_weights(portfolio.allocation),
        "policy": pack(changes) if changes else None,
        "brake": pack(portfolio.brake) if portfolio.brake != Brake() else None,
        "holdings": holdings_text.pack(portfolio.holdings.values()),
    }


def members_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of the portfolio in an item of form version 1."""
    members = {name: item[name] for name in (*_ATTRIBUTES, "version") if name in item}
    return members | {
        "portfolio_id": portfolio_id_in(item["pk"]),
        "created_at": item["by_user_sk"],
        "cash": item.get("cash"),
        "allocation": unpack_weights(item.get("target")),
        "policy": unpack(item.get("policy", "{}"), Policy),
        "holdings": {holding.symbol: holding for holding in holdings_text.unpack(item.get("holdings", ""))},
        "brake": unpack(item.get("brake", "{}"), Brake),
        "cash_rule": _without_prefix("cash", item) or {},
        "lock": _without_prefix("lock", item),
        "last_report": _without_prefix("last_report", item),
        "traded_today": _without_prefix("traded", item),
        "watch_state": from_attributes(item, WatchState),
    }


def _prefix(prefix: str, value: Struct | None) -> dict[str, Any]:
    members = to_attributes(value) if value else {}
    return {f"{prefix}_{name}": member for name, member in members.items()}


def _without_prefix(prefix: str, item: Mapping[str, Any]) -> dict[str, Any] | None:
    members = {name.removeprefix(f"{prefix}_"): item[name] for name in item if name.startswith(f"{prefix}_")}
    return members or None
