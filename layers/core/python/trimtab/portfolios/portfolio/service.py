"""Portfolio service: create, read, change and close portfolios."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct, to_builtins

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel import ids
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.currencies import minor_units
from trimtab.kernel.errors import Conflict, not_found
from trimtab.kernel.money import ZERO
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict
from trimtab.portfolios.portfolio.attention import AttentionEntry, attention_entries
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.cash_rule import NO_ENTRY, CashRule, CashTracking
from trimtab.portfolios.portfolio.holdings import SecurityType
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of
from trimtab.portfolios.portfolio.names import claim_of, claimed_by
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.portfolio_events import portfolio_event
from trimtab.portfolios.portfolio.store import PortfolioStore, Storable


class PortfolioFilter(Struct, frozen=True):
    """Filter of a list of portfolios: of one user, with one status, or only portfolios that need a person.

    Closed portfolios pass with `include_closed` or the status CLOSED only.
    """

    user_id: str | None = None
    status: PortfolioStatus | None = None
    needs_attention: bool = False
    include_closed: bool = False

    @property
    def is_of_attention(self) -> bool:
        """True where every portfolio of the list needs a person."""
        return self.needs_attention or self.status is PortfolioStatus.STALE


RevisionCheck = Callable[[Portfolio], None]
"""Raises where the portfolio is not in the revision that the client has seen."""


class Investment(Struct, frozen=True, omit_defaults=True):
    """An opening position: units of a symbol, and their cost basis in money (None: at the newest price)."""

    symbol: str
    quantity: Decimal
    cost: Decimal | None = None
    security_type: SecurityType = SecurityType.STOCK


OpenPositions = Callable[[Portfolio], tuple[Portfolio, Sequence[Storable]]]
"""Returns a portfolio with its opening positions, and the entries that are stored in the same transaction."""


class NewPortfolio(Struct, frozen=True):
    """Request for a new portfolio. `allocation` maps assets to percent, `cash` is money.

    Without `cash_tracking` (None) all trades count where `cash` is given, else trades from the first cash entry on.
    """

    user_id: str
    name: str
    currency: str
    allocation: Mapping[str, Decimal]
    policy: Policy
    cash: Decimal | None
    cash_tracking: CashTracking | None = None
    investments: tuple[Investment, ...] = ()

    def request_hash(self, version: int = 1) -> str:
        """Return the versioned hash of the request; equal numbers have equal hashes however they are written."""
        match version:
            case 1:
                policy = {
                    name: to_builtins(member, builtin_types=(Decimal,))
                    for name, member in self.policy.non_defaults().items()
                }
                fields = {
                    "currency": self.currency,
                    "allocation": self.allocation,
                    "policy": policy or None,
                    "cash": self.cash,
                    "cash_tracking": self.cash_tracking,
                    "investments": to_builtins(self.investments, builtin_types=(Decimal,)) or None,
                }
                return ids.request_hash(version, fields)
        raise UnknownForm("request hash of a portfolio", version)

    def matches(self, stored: Portfolio) -> bool:
        """Return whether the stored portfolio was created by the same request."""
        return ids.is_same_request(stored.request_hash, self.request_hash)


class PortfolioWithAttention(Struct, frozen=True):
    """A portfolio with the reasons for which the portfolio needs a person."""

    portfolio: Portfolio
    attention: tuple[AttentionEntry, ...]


class PortfolioService(Struct, frozen=True):
    """Portfolios of the caller's tenant."""

    store: PortfolioStore
    clock: Clock

    def create(
        self, caller: Caller, wanted: NewPortfolio, open_positions: OpenPositions = lambda portfolio: (portfolio, ())
    ) -> Portfolio:
        """Create a portfolio, or open a closed one again; a repeated request returns the portfolio as it is now.

        Raises `Conflict` (`exists`) where a different portfolio of the user has or had the name.
        """
        caller.require_acting_for(wanted.user_id)
        portfolio = self._first_version(caller.tenant_id, wanted)
        names = (caller.tenant_id, wanted.user_id, wanted.name)

        def attempt() -> Portfolio:
            existing = self.store.portfolio_named(*names) if wanted.investments else None
            if existing is None:
                opened, entries = open_positions(portfolio)
                existing = self.store.insert(opened, *entries)
                if existing is None:
                    return opened
            if existing.name != wanted.name and existing.portfolio_id != portfolio.portfolio_id:
                raise _exists()
            if existing.status is PortfolioStatus.CLOSED:
                if wanted.investments:
                    raise Conflict("exists", "A closed portfolio has this name. Open it without `investments` first.")
                reopened = existing.reopen(portfolio)
                self.store.put(reopened, *_opening_deposit(existing, reopened))
                return reopened
            if not wanted.matches(existing):
                raise _exists()
            return existing

        return retry_on_conflict(attempt)

    def get(self, caller: Caller, portfolio_id: str) -> Portfolio:
        """Return the portfolio; raises `NotFound` for an unknown portfolio and for one of another tenant or user."""
        portfolio = self.store.portfolio(caller.tenant_id, portfolio_id)
        if portfolio is None:
            raise not_found("portfolio")
        caller.require_owner(portfolio.user_id, "portfolio")
        return portfolio

    def list_portfolios(
        self, caller: Caller, wanted: PortfolioFilter, *, limit: int, after: Any
    ) -> Page[PortfolioWithAttention]:
        """Return a page of the portfolios that the caller may see and that pass the filter, newest first.

        Portfolios that need a person are listed from the longest waiting on.
        """
        if wanted.user_id is not None:
            caller.require_acting_for(wanted.user_id)
        user_id = wanted.user_id or caller.user_id
        if wanted.is_of_attention:
            page = self.store.portfolios_with_attention(caller.tenant_id, limit=limit, after=after)
        else:
            listed = self.store.portfolios(caller.tenant_id, user_id, limit=limit, after=after)
            page = listed.map(lambda portfolio: (portfolio, None))
        now = self.clock()
        entries = [PortfolioWithAttention(each, attention_entries(each, now, stuck)) for each, stuck in page.items]
        return Page([each for each in entries if _passes(each, user_id, wanted)], page.next_position)

    def change(
        self,
        caller: Caller,
        portfolio_id: str,
        name: str | None,
        change: Callable[[Policy], Policy],
        check: RevisionCheck,
    ) -> Portfolio:
        """Change the policy, and the name where one is given; return the portfolio.

        Raises `Conflict` (`name_taken`) where another portfolio of the user has or had the name.
        """
        return self._change(
            caller,
            portfolio_id,
            check,
            lambda portfolio: portfolio.revise(self.clock(), policy=change(portfolio.policy), name=name),
        )

    def set_allocation(
        self, caller: Caller, portfolio_id: str, allocation: Mapping[str, Decimal], check: RevisionCheck
    ) -> Portfolio:
        """Set another target and return the portfolio."""
        return self._change(
            caller, portfolio_id, check, lambda portfolio: portfolio.revise(self.clock(), allocation=allocation)
        )

    def close(self, caller: Caller, portfolio_id: str, check: RevisionCheck) -> None:
        """Close the portfolio; a closed portfolio does not change."""
        self._change(caller, portfolio_id, check, lambda portfolio: portfolio.close(self.clock()))

    def _change(
        self, caller: Caller, portfolio_id: str, check: RevisionCheck, change: Callable[[Portfolio], Portfolio]
    ) -> Portfolio:
        def attempt() -> Portfolio:
            portfolio = self.get(caller, portfolio_id)
            changed = change(portfolio)
            # No precondition where nothing changes: a repeat whose first answer got lost names the older revision.
            if changed is not portfolio:
                check(portfolio)
                self._store(portfolio, changed)
            return changed

        return retry_on_conflict(attempt)

    def _store(self, before: Portfolio, after: Portfolio) -> None:
        """Store the portfolio; a new name is claimed in the same transaction, unless the portfolio has had the name."""
        claim = claim_of(after) if after.name != before.name else None
        try:
            self.store.put(*filter(None, (after, claim)))
        except ConditionFailed as refused:
            if claim is None or set(refused.failed) != {1}:
                raise
            if claimed_by(refused.failed[1]) != after.portfolio_id:
                raise Conflict(
                    "name_taken", "Another portfolio of the user has or had this name. Choose another."
                ) from None
            self.store.put(after)

    def _first_version(self, tenant_id: str, wanted: NewPortfolio) -> Portfolio:
        now = self.clock()
        default = CashTracking.FROM_FIRST_ENTRY if wanted.cash is None else CashTracking.ON
        tracking = wanted.cash_tracking or default
        portfolio_id = portfolio_id_of(tenant_id, wanted.user_id, wanted.name)
        return Portfolio(
            tenant_id=tenant_id,
            portfolio_id=portfolio_id,
            user_id=wanted.user_id,
            name=wanted.name,
            currency=wanted.currency,
            allocation=wanted.allocation,
            policy=wanted.policy,
            cash=ZERO if wanted.cash is None and tracking.counts_all else wanted.cash,
            cash_rule=CashRule(tracking, newest_at=NO_ENTRY if tracking.counts_all else None),
            request_hash=wanted.request_hash(),
            created_at=now,
            updated_at=now,
            events=(portfolio_event("portfolio.created", portfolio_id, wanted.user_id, wanted.name),),
        )


def _exists() -> Conflict:
    return Conflict("exists", "The user has a different portfolio of this name. Change that one, or choose a name.")


def _passes(listed: PortfolioWithAttention, user_id: str | None, wanted: PortfolioFilter) -> bool:
    portfolio = listed.portfolio
    is_of_user = not user_id or portfolio.user_id == user_id
    is_listed = wanted.include_closed or portfolio.status is not PortfolioStatus.CLOSED
    has_status = is_listed if wanted.status is None else portfolio.status is wanted.status
    return is_of_user and has_status and (bool(listed.attention) or not wanted.needs_attention)


def _opening_deposit(before: Portfolio, reopened: Portfolio) -> list[CashEntry]:
    """Return the deposit of the cash that a portfolio is reopened with, where cash was not tracked before.

    The cash of a first creation needs no entry: returns count it from the first day on.
    """
    if before.cash is not None or not reopened.cash:
        return []
    entry = CashEntry(
        tenant_id=reopened.tenant_id,
        portfolio_id=reopened.portfolio_id,
        ref_id=ids.derive_id("reopened", reopened.portfolio_id, reopened.version),
        type=CashType.DEPOSIT,
        amount=reopened.cash,
        executed_at=reopened.updated_at,
        created_at=reopened.updated_at,
        minor_units=minor_units(reopened.currency),
    )
    return [entry.with_event(reopened.user_id)]
