"""Cash of a portfolio after new or changed entries, with the check that cash is never below zero.

The present balance is stored with the portfolio, so a change is checked from the present back to its own time: only
entries that are later than the change are read, and none where the change is the newest entry.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import ZERO
from trimtab.portfolios.ledger.history import RecordedEntries
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.cash_rule import CashChange, CashRule, CashTracking, first_fall, require_cash
from trimtab.portfolios.portfolio.model import Portfolio


def require_tracking(portfolio: Portfolio) -> None:
    """Raise `Unprocessable` (`cash_not_tracked`) where the portfolio takes no cash entries."""
    if portfolio.cash_rule.tracking is CashTracking.OFF:
        raise Unprocessable(
            "cash_not_tracked",
            "The portfolio does not track cash. Set cash_tracking to `on`, `margin` or `from_first_entry` first.",
        )


def change_cash(
    ledger: LedgerStore,
    portfolio: Portfolio,
    changes: Sequence[CashChange] = (),
    *,
    entries: Sequence[CashEntry] = (),
    replaced: Sequence[CashEntry] = (),
    most: int | None = None,
) -> Portfolio:
    """Return the portfolio, in the same version, with changes of trades and new cash entries in its cash.

    `replaced` are recorded entries that count no more, such as the earlier revision of an entry. An entry earlier than
    the tracked cash starts the tracking at its time, so that the trades since then count. Raises `Unprocessable`
    (`insufficient_cash`) where cash would be negative at any instant and the portfolio does not allow that, and
    `TooManyEntries` where more than `most` entries have to be read.
    """
    read = RecordedEntries(ledger, portfolio, most)
    rule = _rule_with(portfolio, entries, replaced, read)
    trades = None
    if rule.since is not None and rule.since != portfolio.cash_rule.since:
        trades = read.trades(min(rule.since, portfolio.cash_rule.since or rule.since))
    all_changes = [*changes, *((entry.executed_at, entry.change) for entry in entries)]
    all_changes += [(entry.executed_at, -entry.change) for entry in replaced]
    all_changes += recount(trades or (), portfolio.cash_rule, rule)
    all_changes = [(at, change) for at, change in all_changes if change]
    if not all_changes and not entries:
        return portfolio
    balance, fall = portfolio.cash or ZERO, first_fall(all_changes)
    times = [at for at, _ in all_changes]
    if fall is not None and rule.tracking is not CashTracking.MARGIN:
        recorded: list[CashChange] = []
        if rule.newest_at is None or fall < rule.newest_at:
            found = read.trades(fall) if trades is None else trades
            recorded = [(trade.executed_at, trade.cash_change(portfolio.cash_rule)) for trade in found]
            recorded += [(entry.executed_at, entry.change) for entry in read.cash_entries(fall)]
            times += [at for at, _ in recorded]
            rule = replace(rule, newest_at=rule.newest_at or fall)
        require_cash(balance, recorded, all_changes)
    cash = sum((change for _, change in all_changes), balance)
    return replace(portfolio, cash=cash, cash_rule=rule.extend(max(times)) if times else rule)


def remove_cash(ledger: LedgerStore, portfolio: Portfolio, removed: Sequence[CashEntry]) -> Portfolio:
    """Return the portfolio, in the same version, without recorded cash entries.

    Cash that was tracked only because of these entries is not tracked any more. Raises `Unprocessable`
    (`insufficient_cash`) like `change_cash`.
    """
    if _is_tracked_for(ledger, portfolio, removed):
        return replace(portfolio, cash=None, cash_rule=CashRule(portfolio.cash_rule.tracking))
    return change_cash(ledger, portfolio, replaced=removed)


def _is_tracked_for(ledger: LedgerStore, portfolio: Portfolio, removed: Sequence[CashEntry]) -> bool:
    """Return whether no other entry, no trade recorded since, and no opening balance needs tracked cash."""
    rule, read = portfolio.cash_rule, RecordedEntries(ledger, portfolio)
    if rule.tracking is not CashTracking.FROM_FIRST_ENTRY or rule.since is None:
        return False
    ref_ids = {entry.ref_id for entry in removed}
    if any(entry.ref_id not in ref_ids for entry in read.cash_entries(None)):
        return False
    trades = read.trades(rule.since)
    if any(trade.moves_cash for trade in trades):
        return False
    changes = [entry.change for entry in removed] + [trade.cash_change(rule) for trade in trades]
    return portfolio.cash == sum(changes, ZERO)


def recount(trades: Iterable[Trade], before: CashRule, after: CashRule) -> list[CashChange]:
    """Return the changes of cash by trades that another rule counts, or no longer counts."""
    return [
        (trade.executed_at, trade.cash_change(after) - trade.cash_change(before))
        for trade in trades
        if trade.is_counted(before) is not trade.is_counted(after)
    ]


def recompute_cash(ledger: LedgerStore, portfolio: Portfolio, tracking: CashTracking, now: datetime) -> Portfolio:
    """Return the next revision of the portfolio under another rule of cash; the portfolio itself where it has the rule.

    All entries are read. The difference of both rules changes the balance, so cash that the portfolio was created with
    stays. Raises `Unprocessable` (`cash_is_tracked`, `insufficient_cash`).
    """
    before = portfolio.cash_rule
    if tracking is before.tracking and not _counts_as_recorded(portfolio):
        return portfolio
    read = RecordedEntries(ledger, portfolio)
    trades, entries = read.trades(None), read.cash_entries(None)
    if tracking is CashTracking.OFF and entries:
        raise Unprocessable("cash_is_tracked", "The portfolio has cash entries, so cash cannot be off. Use `margin`.")
    after = CashRule(tracking)
    if entries or portfolio.cash is not None:
        after = after.start(min((entry.executed_at for entry in entries), default=now))
    changes, recorded = (
        recount(trades, before, after),
        [(trade.executed_at, trade.cash_change(before)) for trade in trades],
    )
    recorded += [(entry.executed_at, entry.change) for entry in entries]
    balance = portfolio.cash or ZERO
    if tracking in {CashTracking.ON, CashTracking.FROM_FIRST_ENTRY}:
        require_cash(balance, recorded, changes, may_stay_negative=False)
    if portfolio.cash is None and tracking in {CashTracking.OFF, CashTracking.FROM_FIRST_ENTRY}:
        cash = None
    else:
        cash = sum((change for _, change in changes), balance)
    times = [at for at, _ in (*recorded, *changes)]
    return portfolio.revise_cash(now, cash, replace(after, newest_at=max(times, default=None)), min(times, default=now))


def _counts_as_recorded(portfolio: Portfolio) -> bool:
    """Return whether the cash is of an earlier release, which counted trades by the order of entry."""
    rule = portfolio.cash_rule
    return portfolio.cash is not None and rule.tracking is CashTracking.FROM_FIRST_ENTRY and rule.since is None


def _rule_with(
    portfolio: Portfolio, entries: Sequence[CashEntry], replaced: Sequence[CashEntry], read: RecordedEntries
) -> CashRule:
    """Return the rule after new entries; the cash of an earlier release stays as recorded, without a start.

    After a correction of the earliest entry, the earliest of the other entries and fills starts the tracking; the
    start stays where none is left.
    """
    rule = portfolio.cash_rule
    times = [entry.executed_at for entry in entries if not entry.is_void]
    if any(entry.executed_at == rule.since and not entry.is_void for entry in replaced):
        ref_ids = {entry.ref_id for entry in replaced}
        others = [entry for entry in read.cash_entries(rule.since) if entry.ref_id not in ref_ids]
        fills = [trade for trade in read.trades(rule.since) if trade.rebalance_id and trade.moves_cash]
        times += [entry.executed_at for entry in others] + [fill.executed_at for fill in fills]
        return replace(rule, since=min(times, default=rule.since))
    return rule if not times or _counts_as_recorded(portfolio) else rule.start(min(times))
