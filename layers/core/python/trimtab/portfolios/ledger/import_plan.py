"""Plans of imports: the portfolio with all entries of an import, or without them, checked before the first write."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from trimtab.portfolios.ledger.cash_posting import change_cash, remove_cash, require_tracking
from trimtab.portfolios.ledger.file_entries import EntryKind
from trimtab.portfolios.ledger.import_rows import ImportRow, require_recordable, tie_ranks, times_of_recording
from trimtab.portfolios.ledger.imports import ENTRIES_PER_CHUNK, Import, counted, is_locked_by
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade
from trimtab.portfolios.ledger.posting import find_holding, fold_correction, map_splits, update_holdings
from trimtab.portfolios.ledger.service import resolve_amount
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.model import Portfolio

Entries = Sequence[Trade] | Sequence[CashEntry]


class ImportPlan(Struct, frozen=True):
    """The entries that an import records, those of them that are not written yet, and the portfolio with all of them.

    `after` is the next version of the portfolio, with the lock as before.
    """

    entries: Entries
    unwritten: Entries
    after: Portfolio

    @property
    def affects_from(self) -> datetime | None:
        """Earliest time of execution of the entries, None without entries."""
        return min((entry.executed_at for entry in self.entries), default=None)


def plan_import(
    ledger: LedgerStore, portfolio: Portfolio, job: Import, rows: Sequence[ImportRow[Any]], now: datetime
) -> ImportPlan:
    """Return the plan of an import, the same after each crash of a worker.

    Raises a `Refusal` that names the rows that cannot be recorded, or `Unprocessable` if all rows together would make a
    quantity or tracked cash negative at any instant.
    """
    match job.kind:
        case EntryKind.TRADE:
            return _plan_trades(ledger, portfolio, job, rows, now)
        case EntryKind.CASH:
            return _plan_cash(ledger, portfolio, job, rows, now)
        case _:
            assert_never(job.kind)


def items_of(entries: Iterable[Any]) -> list[Any]:
    """Return the records that store the entries: two for a spin-off."""
    return [leg for entry in entries for leg in (entry.legs if isinstance(entry, Trade) else (entry,))]


def chunks_of(entries: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield the entries in chunks that one transaction stores; both records of a spin-off are in one chunk."""
    size = ENTRIES_PER_CHUNK if len(items_of(entries)) == len(entries) else ENTRIES_PER_CHUNK // 2
    return (entries[start : start + size] for start in range(0, len(entries), size))


def entries_of(ledger: LedgerStore, portfolio: Portfolio, job: Import) -> list[Any]:
    """Return the stored entries that an import has recorded, in the order of the file."""
    ref_ids = [row.entry.ref_id for row in ledger.import_rows(job)]
    found = read_entries(ledger, portfolio, job.kind, ref_ids)
    return [found[each] for each in ref_ids if each in found and found[each].import_id == job.import_id]


def read_entries(ledger: LedgerStore, portfolio: Portfolio, kind: EntryKind, ref_ids: Sequence[str]) -> dict[str, Any]:
    """Return the recorded trades of clients, or cash entries, by `ref_id`."""
    place = (portfolio.tenant_id, portfolio.portfolio_id, ref_ids)
    return dict(ledger.some_trades(*place) if kind is EntryKind.TRADE else ledger.some_cash_entries(*place))


def plan_undo(ledger: LedgerStore, portfolio: Portfolio, entries: Entries, now: datetime) -> Portfolio:
    """Return the next version of the portfolio without the entries of an import.

    Raises `Unprocessable`, naming the first conflict, if a quantity or tracked cash would be negative at any instant.
    """
    trades = [leg for entry in entries if isinstance(entry, Trade) for leg in entry.legs]
    cash_entries = [entry for entry in entries if isinstance(entry, CashEntry)]
    if cash_entries:
        return remove_cash(ledger, portfolio, cash_entries).post(now)
    symbols = sorted({trade.symbol for trade in trades})
    splits, removed, holdings = map_splits(ledger.quotes(symbols)), {trade.sort_key for trade in trades}, []
    for symbol in symbols:
        stored = ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol)
        others = [trade for trade in stored if trade.sort_key not in removed]
        holding = find_holding(portfolio, symbol, trades[0].security_type)
        holdings.append(fold_correction(holding, stored, others, splits.get(symbol, ()), now))
    changes = [(trade.executed_at, -trade.cash_change(portfolio.cash_rule)) for trade in trades]
    after = change_cash(ledger, portfolio, changes).post(now, holdings=holdings)
    traded = {symbol: holding for symbol, holding in after.holdings.items() if holding.trade_count}
    return replace(after, holdings=traded)


def _plan_trades(
    ledger: LedgerStore, portfolio: Portfolio, job: Import, rows: Sequence[ImportRow[NewTrade]], now: datetime
) -> ImportPlan:
    assets = ledger.assets(sorted({row.entry.symbol for row in rows if row.entry.depends_on_asset}))
    rows = [replace(row, entry=resolve_amount(row.entry, assets.get(row.entry.symbol))) for row in rows]
    recorded = read_entries(ledger, portfolio, job.kind, [row.entry.ref_id for row in rows])
    require_recordable(portfolio, rows, recorded, now)
    before, times = _refs(counted(portfolio, list(recorded.values()))), times_of_recording(job, rows)
    ranks, is_tracked = tie_ranks(rows), portfolio.cash is not None

    def to_trade(new: NewTrade) -> Trade:
        trade = new.to_trade(portfolio, times[new.ref_id], ranks.get(new.ref_id, 0))
        trade = replace(trade, import_id=job.import_id, events=())
        return trade.with_cash_effect(None, cash_is_tracked=is_tracked)

    trades = [recorded.get(row.entry.ref_id) or to_trade(row.entry) for row in rows if row.entry.ref_id not in before]
    if trades:
        _require_writable(portfolio, job, now, is_deposit=False)
    changes = [(trade.executed_at, trade.cash_change(portfolio.cash_rule)) for trade in trades]

    def load_trades(symbol: str) -> list[Trade]:
        return counted(portfolio, ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol))

    with_cash = change_cash(ledger, portfolio, changes)
    legs = [leg for trade in trades for leg in trade.legs]
    splits = map_splits(ledger.quotes(sorted({leg.symbol for leg in legs})))
    holdings = update_holdings(with_cash, legs, splits, now, load_trades)
    return ImportPlan(trades, _without(trades, recorded), with_cash.post(now, holdings=holdings))


def _plan_cash(
    ledger: LedgerStore, portfolio: Portfolio, job: Import, rows: Sequence[ImportRow[NewCashEntry]], now: datetime
) -> ImportPlan:
    recorded = read_entries(ledger, portfolio, job.kind, [row.entry.ref_id for row in rows])
    require_recordable(portfolio, rows, recorded, now)
    before, times = _refs(counted(portfolio, list(recorded.values()))), times_of_recording(job, rows)

    def to_entry(new: NewCashEntry) -> CashEntry:
        return replace(new.to_entry(portfolio, times[new.ref_id]), import_id=job.import_id, events=())

    entries = [recorded.get(row.entry.ref_id) or to_entry(row.entry) for row in rows if row.entry.ref_id not in before]
    if entries:
        _require_writable(portfolio, job, now, is_deposit=all(entry.type.sign > 0 for entry in entries))
        require_tracking(portfolio)
    after = change_cash(ledger, portfolio, entries=entries) if entries else portfolio
    return ImportPlan(entries, _without(entries, recorded), after.post(now))


def _require_writable(portfolio: Portfolio, job: Import, now: datetime, *, is_deposit: bool) -> None:
    """Raise `Conflict` unless the import holds the lock, or nobody does; a lock does not keep deposits out."""
    if is_deposit or is_locked_by(portfolio, job):
        portfolio.require_open_to_deposits()
    else:
        portfolio.require_tradable(now)


def _refs(entries: Sequence[Any]) -> set[str]:
    return {entry.ref_id for entry in entries}


def _without(entries: Sequence[Any], recorded: Mapping[str, Any]) -> list[Any]:
    return [entry for entry in entries if entry.ref_id not in recorded]
