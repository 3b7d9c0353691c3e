"""Recording and correcting trades, and moving cash.

A trade or a cash entry is written in the same transaction as the holding and the cash balance.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from trimtab.contracts.assets import AssetRecord, QuoteUnit
from trimtab.contracts.quotes import Quote
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Invalid, Refusal, not_found
from trimtab.kernel.money import QUANTITY_PLACES, count_decimals
from trimtab.kernel.pages import Page, gather
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict
from trimtab.portfolios.ledger.cash_posting import change_cash, recompute_cash, require_tracking
from trimtab.portfolios.ledger.history import RecordedEntries, TooManyEntries, settled
from trimtab.portfolios.ledger.imports import counted
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade, require_fits_kind
from trimtab.portfolios.ledger.posting import post_trade
from trimtab.portfolios.ledger.recalculation import Recalculation, request_recalculation
from trimtab.portfolios.ledger.store import PAGE_SIZE, LedgerStore, TradeFilter
from trimtab.portfolios.ledger.trades import Trade, require_not_in_future
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.cash_rule import CashTracking
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.service import RevisionCheck
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues

MAX_FOLD = 10_000
"""Trades folded while a client waits: two to three seconds."""


class TradeService(Struct, frozen=True):
    """Records trades and cash entries. Each attempt reads, decides, and writes on condition of the version read."""

    ledger: LedgerStore
    queues: WorkerQueues
    clock: Clock

    def record_trade(self, caller: Caller, portfolio_id: str, stated: NewTrade) -> Trade | Recalculation:
        """Record a trade, once: a repeated request is answered with the first revision of the recorded trade.

        A trade that is the newest of its symbol takes one read and one transaction. If the holding or cash has to be
        computed from more than `MAX_FOLD` entries, the portfolio is locked and a recalculation for a worker is
        returned. Raises `Conflict` (`ref_id_reused`) if the `ref_id` was recorded with other values.
        """
        require_fits_kind(stated)

        def attempt() -> Trade | Recalculation:
            found = self.ledger.portfolio_quote_and_asset(caller.tenant_id, portfolio_id, stated.symbol)
            portfolio, quote, asset = require_owned(found[0], caller), *found[1:]
            new = resolve_amount(stated, asset)
            trade = new.to_trade(portfolio, self.clock())
            quotes = {trade.symbol: quote} if quote else {}
            quotes |= self.ledger.quotes([trade.spun_off_from]) if trade.spun_off_from else {}
            try:
                require_not_in_future(trade.executed_at, self.clock())
                return self._write(portfolio, quotes, None, trade)
            except (Refusal, ConditionFailed):
                # A repeat is refused because of its own first delivery; the answer to the first delivery is returned.
                stored = self.ledger.trade(caller.tenant_id, portfolio_id, new.ref_id)
                if stored is None or not counted(portfolio, [stored]):
                    raise
                if not new.matches(stored):
                    raise _ref_id_reused() from None
                return stored.first_revision()

        return retry_on_conflict(attempt)

    def correct_trade(
        self,
        caller: Caller,
        portfolio_id: str,
        ref_id: str,
        changes: Mapping[str, Any],
        *,
        reason_for_fill: str | None = None,
    ) -> Trade | Recalculation:
        """Correct members of a trade, by name; the holding is folded again from all trades of the symbol.

        With a `reason_for_fill`, correct a fill of a rebalance instead of a client's trade. Where more than `MAX_FOLD`
        entries have to be read, the portfolio is locked and the recalculation for a worker is returned.
        Raises `NotFound` where there is no such trade, and `Unprocessable` (`not_of_kind`) for values that the kind of
        the trade does not have. A correction that changes nothing is not recorded.
        """

        def attempt() -> Trade | Recalculation:
            now = self.clock()
            is_fill = reason_for_fill is not None
            portfolio, trade = self.ledger.portfolio_and_trade(caller.tenant_id, portfolio_id, ref_id, is_fill=is_fill)
            portfolio = require_owned(portfolio, caller)
            if trade is None:
                raise not_found("fill" if is_fill else "trade")
            corrected = trade.correct(changes, by=caller.subject, now=now, reason=reason_for_fill)
            if corrected is trade:
                return trade
            require_fits_kind(corrected)
            require_not_in_future(corrected.executed_at, now)
            if count_decimals(corrected.quantity) > QUANTITY_PLACES:
                _require_places(corrected, self.ledger.assets([corrected.symbol]).get(corrected.symbol))
            quotes = self.ledger.quotes(sorted({leg.symbol for leg in (*trade.legs, *corrected.legs)}))
            return self._write(portfolio, quotes, trade, corrected)

        return retry_on_conflict(attempt)

    def get_recalculation(self, portfolio: Portfolio, job_id: str) -> Recalculation:
        """Return a recalculation of the portfolio; raises `NotFound` where there is none."""
        _, job = self.ledger.portfolio_and_job(portfolio.tenant_id, portfolio.portfolio_id, job_id)
        if job is None:
            raise not_found("recalculation")
        return job

    def get_trade(self, portfolio: Portfolio, ref_id: str) -> Trade:
        """Return a trade of a client or a fill of a rebalance; raises `NotFound` where there is none."""
        trade = self.ledger.trade_or_fill(portfolio.tenant_id, portfolio.portfolio_id, ref_id)
        if trade is None or not settled(self.ledger, portfolio, [trade]):
            raise not_found("trade")
        return trade

    def list_trades(self, portfolio: Portfolio, wanted: TradeFilter, *, limit: int, after: Any) -> Page[Trade]:
        """Return a page of the trades that pass the filter, latest execution first."""
        page = self.ledger.trades(portfolio.tenant_id, portfolio.portfolio_id, wanted, limit=limit, after=after)
        return Page(settled(self.ledger, portfolio, page.items), page.next_position)

    def export_trades(
        self, portfolio: Portfolio, from_time: datetime | None, to_time: datetime | None, *, limit: int, after: Any
    ) -> Page[Trade]:
        """Return the trades and fills executed in a period, earliest execution first, so that an import takes them."""
        place, wanted = (portfolio.tenant_id, portfolio.portfolio_id), TradeFilter(from_time=from_time, to_time=to_time)

        def read_page(size: int, position: Any) -> Page[Trade]:
            return self.ledger.trades(*place, wanted, limit=size, after=position, newest_first=False)

        page = gather(read_page, limit, after, page_size=PAGE_SIZE)
        return Page(settled(self.ledger, portfolio, page.items), page.next_position)

    def export_cash(
        self, portfolio: Portfolio, from_time: datetime | None, to_time: datetime | None, *, limit: int, after: Any
    ) -> Page[CashEntry]:
        """Return the cash entries executed in a period that are not void, earliest execution first."""
        place = (portfolio.tenant_id, portfolio.portfolio_id)

        def read_page(size: int, position: Any) -> Page[CashEntry]:
            return self.ledger.cash_entries(*place, from_time, to_time, limit=size, after=position, newest_first=False)

        page = gather(read_page, limit, after, page_size=PAGE_SIZE)
        entries = settled(self.ledger, portfolio, page.items)
        return Page([entry for entry in entries if not entry.is_void], page.next_position)

    def list_cash(
        self, portfolio: Portfolio, from_time: datetime | None, to_time: datetime | None, *, limit: int, after: Any
    ) -> Page[CashEntry]:
        """Return a page of the cash entries executed in a period, latest execution first; `to_time` is exclusive."""
        place = (portfolio.tenant_id, portfolio.portfolio_id)
        page = self.ledger.cash_entries(*place, from_time, to_time, limit=limit, after=after)
        return Page(settled(self.ledger, portfolio, page.items), page.next_position)

    def move_cash(self, caller: Caller, portfolio_id: str, new: NewCashEntry) -> CashEntry:
        """Record a cash entry, once: a repeated request is answered with the recorded entry.

        Raises `Conflict` (`ref_id_reused`) if the `ref_id` was recorded with other values, and `Unprocessable`
        (`insufficient_cash`) if the balance would be negative at any instant, (`cash_not_tracked`) where the portfolio
        does not track cash.
        """

        def attempt() -> CashEntry:
            portfolio, stored = self.ledger.portfolio_and_cash_entry(caller.tenant_id, portfolio_id, new.ref_id)
            portfolio = require_owned(portfolio, caller)
            if stored is not None and counted(portfolio, [stored]):
                if not new.matches(stored):
                    raise _ref_id_reused()
                return stored.first_revision()
            now = self.clock()
            require_not_in_future(new.executed_at or now, now)
            if new.type.sign > 0:
                portfolio.require_open_to_deposits()
            else:
                portfolio.require_tradable(now)
            require_tracking(portfolio)
            entry = new.to_entry(portfolio, now)
            posted = change_cash(self.ledger, portfolio, entries=[entry]).post(now)
            self.ledger.put(entry, posted.request_investment() if new.type is CashType.DEPOSIT else posted)
            return entry

        return retry_on_conflict(attempt)

    def correct_cash(self, caller: Caller, portfolio_id: str, ref_id: str, changes: Mapping[str, Any]) -> CashEntry:
        """Correct members of a cash entry, by name, or make the entry void; the earlier revision is kept.

        Raises `NotFound` where there is no such entry, and `Unprocessable` (`insufficient_cash`) if the balance would
        be negative at any instant. A correction that changes nothing is not recorded.
        """

        def attempt() -> CashEntry:
            now = self.clock()
            portfolio, entry = self.ledger.portfolio_and_cash_entry(caller.tenant_id, portfolio_id, ref_id)
            portfolio = require_owned(portfolio, caller)
            if entry is None:
                raise not_found("cash entry")
            corrected = entry.correct(changes, portfolio.user_id, by=caller.subject, now=now)
            if corrected is entry:
                return entry
            require_not_in_future(corrected.executed_at, now)
            portfolio.require_tradable(now)
            after = change_cash(self.ledger, portfolio, entries=[corrected], replaced=[entry])
            self.ledger.put(corrected, after.post(now))
            return corrected

        return retry_on_conflict(attempt)

    def income(self, portfolio: Portfolio, from_time: datetime | None, to_time: datetime | None) -> Sequence[CashEntry]:
        """Return the cash entries executed in a period, without those that are void; `to_time` is exclusive.

        Raises `Unprocessable` (`too_many_entries`) for more than 50,000 entries since `from_time`.
        """
        read = RecordedEntries(self.ledger, portfolio)
        return [entry for entry in read.cash_entries(from_time) if to_time is None or entry.executed_at < to_time]

    def get_cash_entry(self, portfolio: Portfolio, ref_id: str) -> CashEntry:
        """Return a cash entry; raises `NotFound` where there is none."""
        _, entry = self.ledger.portfolio_and_cash_entry(portfolio.tenant_id, portfolio.portfolio_id, ref_id)
        if entry is None or not counted(portfolio, [entry]):
            raise not_found("cash entry")
        return entry

    def set_cash_tracking(
        self, caller: Caller, portfolio_id: str, tracking: CashTracking, check: RevisionCheck
    ) -> Portfolio:
        """Set the rule of cash and return the portfolio, with its balance computed anew from all entries.

        Raises `Unprocessable` (`insufficient_cash`) if cash would have been negative at any instant,
        (`cash_is_tracked`) where cash entries are recorded and `tracking` is OFF.
        """

        def attempt() -> Portfolio:
            now = self.clock()
            portfolio = require_owned(self.ledger.portfolio(caller.tenant_id, portfolio_id), caller)
            portfolio.require_tradable(now)
            revised = recompute_cash(self.ledger, portfolio, tracking, now)
            if revised is not portfolio:
                check(portfolio)
                self.ledger.put(revised)
            return revised

        return retry_on_conflict(attempt)

    def _write(
        self, portfolio: Portfolio, quotes: Mapping[str, Quote], before: Trade | None, after: Trade
    ) -> Trade | Recalculation:
        now = self.clock()
        try:
            trade, posted = post_trade(self.ledger, portfolio, quotes, before, after, now=now, max_fold=MAX_FOLD)
            self.ledger.put(*trade.legs, posted)
        except TooManyEntries:
            job, locked = request_recalculation(portfolio, after, now)
            self.ledger.put(job, locked)
            self.queues.wake(job)
            return job
        return trade


def require_owned(portfolio: Portfolio | None, caller: Caller) -> Portfolio:
    """Return the portfolio; raises `NotFound` if the portfolio does not exist or belongs to another user."""
    if portfolio is None:
        raise not_found("portfolio")
    caller.require_owner(portfolio.user_id, "portfolio")
    return portfolio


def _ref_id_reused() -> Conflict:
    return Conflict("ref_id_reused", "This ref_id was recorded with other values. Send a new ref_id for each entry.")


def resolve_amount(new: NewTrade, asset: AssetRecord | None) -> NewTrade:
    """Return the trade with the amount that follows from a price in the unit of the asset.

    Raises `Invalid` (`too_many_decimals`) for a quantity that the asset does not allow.
    """
    _require_places(new, asset)
    return new.resolve_amount(asset.quote_unit if asset else QuoteUnit.MONEY)


def _require_places(trade: NewTrade | Trade, asset: AssetRecord | None) -> None:
    places = asset.quantity_places if asset else QUANTITY_PLACES
    if count_decimals(trade.quantity) > places:
        raise Invalid(
            "too_many_decimals",
            f"A quantity of {trade.symbol} has at most {places} decimals, the `quantity_places` of the asset; input is "
            "not rounded.",
        )
