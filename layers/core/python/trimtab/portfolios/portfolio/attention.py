"""Attention: the reasons for which a portfolio needs a person, each with a remedy. Pure."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.portfolio_events import (
    LIFT_HALT,
    LIFT_QUARANTINE,
    READ_CHECK,
    READ_REBALANCE,
    RELEASE_PRICE,
    RESOLVE,
    remedy,
)

_WAITS = {
    "price_held": ("A price of the portfolio is held because it is implausible.", RELEASE_PRICE),
    "halted": ("Orders are halted.", LIFT_HALT),
}


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


def attention_entries(portfolio: Portfolio, now: datetime) -> tuple[AttentionEntry, ...]:
    """Return the reasons for which the portfolio needs a person now, the longest standing first."""
    if portfolio.status is PortfolioStatus.CLOSED:
        return ()
    return tuple(sorted(_entries(portfolio, now), key=lambda entry: (entry.since, entry.code, entry.symbol or "")))


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
