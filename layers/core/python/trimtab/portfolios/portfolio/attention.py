"""Attention: the reasons for which a portfolio needs a person, each with a remedy. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.clock import parse_time
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.portfolio_events import (
    LIFT_HALT,
    LIFT_QUARANTINE,
    READ_CHECK,
    READ_REBALANCE,
    REDRIVE,
    RELEASE_PRICE,
    RESOLVE,
    remedy,
)

_WAITS = {
    "price_held": ("A price of the portfolio is held because it is implausible.", RELEASE_PRICE),
    "split_contradicted": ("A split contradicts recorded sells of the portfolio.", READ_CHECK),
    "halted": ("Orders are halted.", LIFT_HALT),
}


class StuckRebalance(Struct, frozen=True):
    """An execution that makes no progress although its worker was woken repeatedly; `since` is its last progress."""

    rebalance_id: str
    since: datetime

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "StuckRebalance":
        """Return the stuck rebalance of an item in the index of what waits for a person."""
        return cls(item["sk"].partition("#")[2], parse_time(item["pending_jobs_sk"]))


class AttentionEntry(Struct, frozen=True):
    """One reason for which a portfolio needs a person: a code, a sentence, the time since when, and the remedy.

    `rebalance_id` and `symbol` are set where the reason concerns one.
    """

    code: str
    message: str
    since: datetime
    remedy: str
    rebalance_id: str | None = None
    symbol: str | None = None


def attention_entries(
    portfolio: Portfolio, now: datetime, stuck: StuckRebalance | None = None
) -> tuple[AttentionEntry, ...]:
    """Return the reasons for which the portfolio needs a person now, the longest standing first."""
    if portfolio.status is PortfolioStatus.CLOSED:
        return ()
    entries = [*_entries(portfolio, now)]
    if stuck is not None:
        message = "The rebalance makes no progress, although its worker was woken repeatedly."
        text = remedy(REDRIVE, portfolio.portfolio_id, rebalance_id=stuck.rebalance_id)
        entries.append(AttentionEntry("stuck", message, stuck.since, text, stuck.rebalance_id))
    return tuple(sorted(entries, key=lambda entry: (entry.since, entry.code, entry.symbol or "")))


def _entries(portfolio: Portfolio, now: datetime) -> Iterator[AttentionEntry]:
    brake, portfolio_id = portfolio.brake, portfolio.portfolio_id
    if portfolio.status is PortfolioStatus.STALE:
        owner = portfolio.lock.owner if portfolio.lock else None
        since = portfolio.stale_since or portfolio.updated_at
        message = f"The portfolio is stale: {portfolio.stale_reason}."
        yield AttentionEntry("stale", message, since, remedy(RESOLVE, portfolio_id), owner)
    if brake.needs_attention and brake.failing_since is not None:
        message = f"{brake.failures} rebalances in a row were rolled back."
        failed = brake.failed_rebalance_id or ""
        text = remedy(READ_REBALANCE, portfolio_id, rebalance_id=failed)
        yield AttentionEntry("backing_off", message, brake.failing_since, text, failed)
    code, waits_since = portfolio.watch_state.waits_for, portfolio.watch_state.waits_since
    if code is not None and waits_since is not None:
        message, text = _WAITS.get(code, (f"The newest check says {code}.", READ_CHECK))
        yield AttentionEntry(code, message, waits_since, remedy(text, portfolio_id))
    for symbol, each in brake.in_quarantine(now).items():
        message = f"The broker refused {symbol} permanently: {each.reason}."
        text = remedy(LIFT_QUARANTINE, portfolio_id, symbol=symbol)
        yield AttentionEntry("quarantined", message, each.since, text, each.rebalance_id, symbol)
