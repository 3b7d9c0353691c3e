"""A portfolio: a user's target allocation and the policy that keeps it, changed only through its version."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from trimtab.contracts.events import Event
from trimtab.kernel import ids
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import plain
from trimtab.portfolios.domain.ledger import Holding
from trimtab.portfolios.domain.policy import Policy

Allocation = Mapping[str, Decimal]
MAX_HOLDINGS = 500


class PortfolioStatus(StrEnum):
    """ACTIVE; CLOSED: readable, and open again once it is created again; STALE: it may not be what it says it is.

    A STALE portfolio is readable and refuses trades and rebalances until an operator has said what it holds.
    """

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    STALE = "STALE"


@dataclass(frozen=True, slots=True, order=True)
class ReportMark:
    """The newest drift report that was applied: later ones replace it, ties are broken by id."""

    as_of: datetime
    rebalance_id: str


@dataclass(frozen=True, slots=True)
class Lock:
    """Holdings and cash are being changed by something long: until then, nobody else changes them."""

    owner: str
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Portfolio:
    """One aggregate: its target, its policy, and what the last reports did.

    `version` counts every write and guards the next one. `revision` counts the changes of target and policy only:
    it is what a client compares.
    """

    tenant_id: str
    portfolio_id: str
    user_id: str
    name: str
    currency: str
    allocation: Allocation
    policy: Policy
    cash: Decimal | None
    request_hash: str
    created_at: datetime
    updated_at: datetime
    status: PortfolioStatus = PortfolioStatus.ACTIVE
    version: int = 1
    revision: int = 1
    last_report: ReportMark | None = None
    rebalanced_at: datetime | None = None
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    lock: Lock | None = None
    stale_reason: str | None = None
    events: tuple[Event, ...] = field(default=(), compare=False)

    def require_active(self) -> None:
        """`Conflict` where the portfolio is closed."""
        if self.status is PortfolioStatus.CLOSED:
            raise Conflict("closed", "The portfolio is closed; create it again to open it.")

    def changed(
        self, now: datetime, *, allocation: Allocation | None = None, policy: Policy | None = None
    ) -> "Portfolio":
        """With another target or policy: a new revision. A new target takes effect at once, so it ends a cooldown.

        The portfolio itself where it is so already: a repeat changes nothing.
        """
        self.require_active()
        wanted = (self.allocation if allocation is None else allocation, self.policy if policy is None else policy)
        if wanted == (self.allocation, self.policy):
            return self
        return replace(
            self._revised(now, "portfolio.updated"),
            allocation=wanted[0],
            policy=wanted[1],
            rebalanced_at=self.rebalanced_at if allocation is None else None,
        )

    def closed(self, now: datetime) -> "Portfolio":
        """Closed: readable still, refusing everything else; the portfolio itself where it is closed already."""
        if self.status is PortfolioStatus.CLOSED:
            return self
        return replace(self._revised(now, "portfolio.closed"), status=PortfolioStatus.CLOSED)

    def reopened(self, wanted: "Portfolio") -> "Portfolio":
        """Open again with what the new creation asks for; version and revision go on counting."""
        return replace(
            self._revised(wanted.created_at, "portfolio.created"),
            status=PortfolioStatus.ACTIVE,
            currency=wanted.currency,
            allocation=wanted.allocation,
            policy=wanted.policy,
            cash=wanted.cash if self.cash is None else self.cash,  # what its ledger says, if it says anything
            request_hash=wanted.request_hash,
            rebalanced_at=None,
        )

    def _revised(self, now: datetime, event: str) -> "Portfolio":
        return replace(
            self,
            version=self.version + 1,
            revision=self.revision + 1,
            updated_at=now,
            events=(portfolio_event(event, self.portfolio_id, self.user_id, self.name),),
        )

    def advanced(self, now: datetime, report: ReportMark, *, rebalanced: bool) -> "Portfolio":
        """After a drift report was applied; `rebalanced` where it led to transactions."""
        return replace(
            self,
            last_report=report,
            rebalanced_at=report.as_of if rebalanced else self.rebalanced_at,
            version=self.version + 1,
            updated_at=now,
            events=(),
        )

    def require_tradable(self, now: datetime) -> None:
        """`Conflict` where holdings and cash may not be changed now."""
        self.require_active()
        if self.status is PortfolioStatus.STALE:
            raise Conflict("stale", f"The portfolio is stale until an operator resolves it: {self.stale_reason}.")
        if self.lock is not None and self.lock.until > now:
            wait = min(60, int((self.lock.until - now).total_seconds()) + 1)
            raise Conflict("locked", f"The portfolio is locked: {self.lock.reason}.", retry_after_seconds=wait)

    def locked(self, lock: Lock, now: datetime) -> "Portfolio":
        """Closed to everybody but the lock's owner until it ends."""
        return replace(self, lock=lock, version=self.version + 1, updated_at=now, events=())

    def unlocked_by(self, owner: str, now: datetime) -> "Portfolio":
        """Open again to its owner; `Conflict` while another one's lock holds. The next write stores it."""
        if self.lock is not None and self.lock.owner == owner:
            return replace(self, lock=None)
        self.require_tradable(now)
        return self

    def booked(self, now: datetime, *, holdings: Iterable[Holding] = (), cash: Decimal | None) -> "Portfolio":
        """With holdings and cash as the ledger has them now; tracked cash never goes below zero."""
        if cash is not None and cash < 0:
            raise Unprocessable("insufficient_cash", f"The portfolio's cash would be {plain(cash)}; deposit first.")
        changed = {**self.holdings, **{holding.symbol: holding for holding in holdings}}
        if len(changed) > MAX_HOLDINGS:
            raise Unprocessable("too_many_holdings", f"A portfolio holds at most {MAX_HOLDINGS} symbols.")
        return replace(self, holdings=changed, cash=cash, version=self.version + 1, updated_at=now, events=())

    def cools_down_until(self) -> datetime | None:
        """When the next rebalance is allowed again, None if one is allowed at any time."""
        if self.rebalanced_at is None or not self.policy.cooldown_seconds:
            return None
        return self.rebalanced_at + timedelta(seconds=self.policy.cooldown_seconds)


def portfolio_id_of(tenant_id: str, user_id: str, name: str) -> str:
    """The id that this portfolio has: the same for every creation of it."""
    return ids.derive_id(tenant_id, user_id, name)


def portfolio_event(type: str, portfolio_id: str, user_id: str, name: str) -> Event:
    """A fact about a portfolio."""
    return Event(type, {"portfolio_id": portfolio_id, "user_id": user_id, "name": name})
