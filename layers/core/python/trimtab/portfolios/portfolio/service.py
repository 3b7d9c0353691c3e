"""Portfolios: create, read, change, close. Each is load, decide, save."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel import ids
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, not_found
from trimtab.kernel.money import plain
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_event, portfolio_id_of
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.store import PortfolioStore

Revised = Callable[[Portfolio], None]
"""Refuses a portfolio whose revision is not the one that the client has seen."""


class NewPortfolio(Struct, frozen=True):
    """What a client asks for when it creates a portfolio."""

    user_id: str
    name: str
    currency: str
    allocation: Mapping[str, Decimal]
    policy: Policy
    cash: Decimal | None

    def request_hash(self) -> str:
        """Tells the same creation again from another one of the same portfolio."""
        weights = {asset: plain(weight) for asset, weight in self.allocation.items()}
        return ids.fingerprint(
            self.currency, weights, self.policy.columns(), None if self.cash is None else plain(self.cash)
        )


class Portfolios(Struct, frozen=True):
    """The portfolios of the caller's tenant."""

    store: PortfolioStore
    clock: Clock

    def create(self, caller: Caller, wanted: NewPortfolio) -> Portfolio:
        """The new portfolio; the current one where the same creation came before; a closed one open again."""
        caller.require_acting_for(wanted.user_id)
        portfolio = self._first_version(caller.tenant_id, wanted)

        def attempt() -> Portfolio:
            existing = self.store.insert(portfolio)
            if existing is None:
                return portfolio
            if existing.status is PortfolioStatus.CLOSED:
                reopened = existing.reopened(portfolio)
                self.store.put(reopened, *_deposited(existing, reopened))
                return reopened
            if existing.request_hash != portfolio.request_hash:
                raise Conflict("exists", "The user has another portfolio of this name; change that one, or name this.")
            return existing

        return retrying_on_conflict(attempt)

    def get(self, caller: Caller, portfolio_id: str) -> Portfolio:
        """The portfolio; `NotFound` for another tenant's, another user's, or none."""
        portfolio = self.store.portfolio(caller.tenant_id, portfolio_id)
        if portfolio is None:
            raise not_found("portfolio")
        caller.require_owner(portfolio.user_id, "portfolio")
        return portfolio

    def list(self, caller: Caller, user_id: str | None, *, limit: int, after: Any) -> Page[Portfolio]:
        """The user's portfolios; without a user the tenant's, or those of an end user's own token."""
        if user_id is not None:
            caller.require_acting_for(user_id)
        return self.store.portfolios(caller.tenant_id, user_id or caller.user_id, limit=limit, after=after)

    def change_policy(
        self, caller: Caller, portfolio_id: str, change: Callable[[Policy], Policy], check: Revised
    ) -> Portfolio:
        """With the policy changed."""
        return self._change(caller, portfolio_id, check, lambda it: it.changed(self.clock(), policy=change(it.policy)))

    def set_allocation(
        self, caller: Caller, portfolio_id: str, allocation: Mapping[str, Decimal], check: Revised
    ) -> Portfolio:
        """With another target."""
        return self._change(caller, portfolio_id, check, lambda it: it.changed(self.clock(), allocation=allocation))

    def close(self, caller: Caller, portfolio_id: str, check: Revised) -> None:
        """Closes the portfolio; nothing happens to one that is closed."""
        self._change(caller, portfolio_id, check, lambda it: it.closed(self.clock()))

    def _change(
        self, caller: Caller, portfolio_id: str, check: Revised, change: Callable[[Portfolio], Portfolio]
    ) -> Portfolio:
        def attempt() -> Portfolio:
            portfolio = self.get(caller, portfolio_id)
            changed = change(portfolio)
            # What is so already needs no precondition: this is how a repeat looks whose first answer got lost.
            if changed is not portfolio:
                check(portfolio)
                self.store.put(changed)
            return changed

        return retrying_on_conflict(attempt)

    def _first_version(self, tenant_id: str, wanted: NewPortfolio) -> Portfolio:
        now = self.clock()
        portfolio_id = portfolio_id_of(tenant_id, wanted.user_id, wanted.name)
        return Portfolio(
            tenant_id=tenant_id,
            portfolio_id=portfolio_id,
            user_id=wanted.user_id,
            name=wanted.name,
            currency=wanted.currency,
            allocation=wanted.allocation,
            policy=wanted.policy,
            cash=wanted.cash,
            request_hash=wanted.request_hash(),
            created_at=now,
            updated_at=now,
            events=(portfolio_event("portfolio.created", portfolio_id, wanted.user_id, wanted.name),),
        )


def _deposited(before: Portfolio, reopened: Portfolio) -> list[CashEntry]:
    """The entry of the cash that a portfolio is opened again with, where it had a past without any.

    What a portfolio is created with was there from its first day on; this was not.
    """
    if before.cash is not None or not reopened.cash:
        return []
    entry = CashEntry(
        tenant_id=reopened.tenant_id,
        portfolio_id=reopened.portfolio_id,
        ref_id=ids.derive_id("reopened", reopened.portfolio_id, reopened.version),
        type=CashType.DEPOSIT,
        amount=reopened.cash,
        balance=reopened.cash,
        executed_at=reopened.updated_at,
        created_at=reopened.updated_at,
    )
    return [entry.with_event(reopened.user_id)]
