"""A portfolio: a user's target allocation and the policy that keeps it, changed only through its version."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.contracts.events import Event, pack_events
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.contracts.records import Record
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import ZERO, plain
from trimtab.portfolios.portfolio import holdings_text
from trimtab.portfolios.portfolio.holdings import Holding
from trimtab.portfolios.portfolio.keys import instant_of, item_key, portfolio_id_in, time_text
from trimtab.portfolios.portfolio.policy import Automation, Policy, policy_of
from trimtab.portfolios.portfolio.watch_state import Trigger, WatchDue, Watching
from trimtab.portfolios.portfolio.weights_text import pack_weights, unpack_weights

Allocation = Mapping[str, Decimal]
MAX_HOLDINGS = 500


class ReportMark(Struct, frozen=True, order=True):
    """The newest drift report that was applied: later ones replace it, ties are broken by id."""

    as_of: datetime
    rebalance_id: str


class Lock(Struct, frozen=True):
    """Holdings and cash are being changed by something long: until then, nobody else changes them.

    Without an end it holds until its owner lets go: an owner that may have sent orders never just runs out of time.
    """

    owner: str
    reason: str
    until: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it still keeps others out."""
        return self.until is None or self.until > now


class Portfolio(Record, frozen=True):
    """One aggregate: its target, its policy, its holdings and cash, and what the last reports and checks did.

    `version` counts every write and guards the next one. `revision` counts the changes of target and policy only:
    it is what a client compares. `rebalanced_at` is when a rebalance was last traded; `reported_at` is the `as_of` of
    the last report that led to transactions, which nobody trades here.
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
    revision: int = 1
    last_report: ReportMark | None = None
    rebalanced_at: datetime | None = None
    reported_at: datetime | None = None
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    lock: Lock | None = None
    stale_reason: str | None = None
    watching: Watching = field(default_factory=Watching)

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
            reported_at=self.reported_at if allocation is None else None,
            watching=replace(self.watching, calendar_at=None),
        ).to_be_watched(WatchDue.HOLDINGS if allocation is None else WatchDue.TARGET)

    def closed(self, now: datetime) -> "Portfolio":
        """Closed: readable still, refusing everything else; the portfolio itself where it is closed already."""
        if self.status is PortfolioStatus.CLOSED:
            return self
        self._require_unlocked(now)
        closed = replace(self._revised(now, "portfolio.closed"), status=PortfolioStatus.CLOSED)
        return closed.to_be_watched(WatchDue.HOLDINGS)

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
            reported_at=None,
        ).to_be_watched(WatchDue.TARGET)

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
            reported_at=report.as_of if rebalanced else self.reported_at,
            version=self.version + 1,
            updated_at=now,
            events=(),
        )

    def require_open_to_deposits(self) -> None:
        """`Conflict` where not even cash may come in; a lock does not keep that out."""
        self.require_active()
        if self.status is PortfolioStatus.STALE:
            raise Conflict("stale", f"The portfolio is stale until an operator resolves it: {self.stale_reason}.")

    def require_tradable(self, now: datetime) -> None:
        """`Conflict` where holdings and cash may not be changed now."""
        self.require_open_to_deposits()
        self._require_unlocked(now)

    def _require_unlocked(self, now: datetime) -> None:
        if self.lock is not None and self.lock.holds(now):
            left = (self.lock.until - now).total_seconds() if self.lock.until else 60
            wait = min(60, int(left) + 1)
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
        after = replace(self, holdings=changed, cash=cash, version=self.version + 1, updated_at=now, events=())
        return after.to_be_watched(WatchDue.HOLDINGS)

    # Stored form -------------------------------------------------------------------------------------------------

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the portfolio item."""
        created = format_time(self.created_at)
        return {
            **item_key(self.tenant_id, self.portfolio_id),
            "by_user_pk": user_partition(self.tenant_id, self.user_id),
            "by_user_sk": created,
            "by_tenant_pk": tenant_partition(self.tenant_id),
            "by_tenant_sk": created,
            "tenant_id": self.tenant_id,
            "user_id": self.user_id,
            "name": self.name,
            "currency": self.currency,
            "allocation": pack_weights(self.allocation),
            "policy": _pack_policy(self.policy),
            "cash": None if self.cash is None else plain(self.cash),
            "request_hash": self.request_hash,
            "status": self.status.value,
            "version": self.version,
            "revision": self.revision,
            "last_as_of": self.last_report and format_time(self.last_report.as_of),
            "last_report": self.last_report and self.last_report.rebalance_id,
            "rebalanced_at": time_text(self.rebalanced_at),
            "reported_at": time_text(self.reported_at),
            "updated_at": format_time(self.updated_at),
            "holdings": holdings_text.pack(self.holdings.values()),
            "lock": self.lock and f"{time_text(self.lock.until) or ''}|{self.lock.owner}|{self.lock.reason}",
            "stale_reason": self.stale_reason,
            **self.watching.to_attributes(self.portfolio_id),
            "events": pack_events(self.events),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Portfolio":
        """Return the portfolio of an item."""
        last = ReportMark(parse_time(item["last_as_of"]), item["last_report"]) if "last_report" in item else None
        return cls(
            tenant_id=item["tenant_id"],
            portfolio_id=portfolio_id_in(item["pk"]),
            user_id=item["user_id"],
            name=item["name"],
            currency=item["currency"],
            allocation=unpack_weights(item.get("allocation")),
            policy=_unpack_policy(item.get("policy")),
            cash=Decimal(item["cash"]) if "cash" in item else None,
            request_hash=item["request_hash"],
            created_at=parse_time(item["by_user_sk"]),
            updated_at=parse_time(item["updated_at"]),
            status=PortfolioStatus(item["status"]),
            version=item["version"],
            revision=item["revision"],
            last_report=last,
            rebalanced_at=instant_of(item.get("rebalanced_at")),
            reported_at=instant_of(item.get("reported_at")),
            holdings={holding.symbol: holding for holding in holdings_text.unpack(item.get("holdings", ""))},
            lock=_unpack_lock(item.get("lock")),
            stale_reason=item.get("stale_reason"),
            watching=Watching.from_attributes(item),
        )

    # Balancing ---------------------------------------------------------------------------------------------------

    @property
    def balances_itself(self) -> bool:
        """Whether prices and the calendar rebalance it: active, automatic, with a target, holding something."""
        wants = self.status is PortfolioStatus.ACTIVE and self.policy.automation is Automation.AUTO
        return wants and bool(self.allocation) and any(holding.quantity for holding in self.holdings.values())

    def is_busy(self, now: datetime) -> bool:
        """Whether somebody else is changing its holdings just now; of a stale one nobody is."""
        return self.status is PortfolioStatus.ACTIVE and self.lock is not None and self.lock.holds(now)

    def to_be_watched(self, due: WatchDue) -> "Portfolio":
        """With the mark that its watches have to be written again, where it has any or needs any.

        What came to nothing is not tried again at once: what was kept meanwhile is forgotten.
        """
        if not (self.balances_itself or self.watching.symbols or self.watching.next_at):
            return self
        if self.watching.due is WatchDue.TARGET:
            return self
        kept = None if due is WatchDue.REFUSED else self.watching.kept
        return replace(self, watching=replace(self.watching, due=due, kept=kept))

    def crossed_while_locked(self, now: datetime) -> "Portfolio":
        """With a price that crossed an edge kept, until whoever has locked it lets go; itself where one is already."""
        if self.watching.kept is not None:
            return self
        watching = replace(self.watching, kept=Trigger.CROSSED)
        return replace(self, watching=watching, version=self.version + 1, updated_at=now, events=())

    def evaluation_begun(self, now: datetime, symbols: Iterable[str]) -> "Portfolio":
        """In the next epoch, with the symbols that may have rows until it is done."""
        either = tuple(sorted({*self.watching.symbols, *symbols}))
        begun, pending = self.watching.begun + 1, self.watching.reason
        watching = replace(self.watching, begun=begun, symbols=either, due=None, pending=pending)
        return replace(self, watching=watching, version=self.version + 1, updated_at=now, events=())

    def evaluation_done(
        self,
        now: datetime,
        symbols: Iterable[str],
        *,
        calendar_at: datetime | None,
        kept: Trigger | None = None,
        again_at: datetime | None = None,
        is_waiting: bool = False,
    ) -> "Portfolio":
        """With all watches of the epoch in place; `is_waiting` where it left the decision to the next quote."""
        watching = replace(
            self.watching,
            done=self.watching.begun,
            decided=self.watching.decided if is_waiting else self.watching.begun,
            symbols=tuple(sorted(symbols)),
            pending=None,
            calendar_at=calendar_at,
            kept=kept,
            again_at=again_at,
        )
        return replace(self, watching=watching, version=self.version + 1, updated_at=now, events=())

    def rebalancing(self, rebalance_id: str, now: datetime, calendar_at: datetime | None) -> "Portfolio":
        """Locked by a planned rebalance, until that lets go. Cash that was not tracked counts as none from here on."""
        lock = Lock(rebalance_id, "it is being rebalanced", None)
        watching = replace(self.watching, pending=None, calendar_at=calendar_at, kept=None, again_at=None)
        cash = ZERO if self.cash is None else self.cash
        return replace(self.locked(lock, now), cash=cash, watching=watching)

    def released(self, now: datetime, due: WatchDue, *, rebalanced: bool) -> "Portfolio":
        """Unlocked by the rebalance that locked it; `rebalanced` where it moved anything for good."""
        free = replace(self, lock=None, version=self.version + 1, updated_at=now, events=())
        return replace(free, rebalanced_at=now if rebalanced else self.rebalanced_at).to_be_watched(due)

    def stale(self, reason: str, now: datetime) -> "Portfolio":
        """Not known to be what it says: closed to trades and rebalances until an operator resolves it; one alert.

        The lock stays: it names the rebalance that is to be resolved.
        """
        event = portfolio_event("portfolio.stale", self.portfolio_id, self.user_id, self.name)
        told = (Event(event.type, {**event.data, "reason": reason}),)
        marked = replace(self, status=PortfolioStatus.STALE, stale_reason=reason, version=self.version + 1)
        return replace(marked, updated_at=now, events=told).to_be_watched(WatchDue.HOLDINGS)

    def resolved(self, now: datetime) -> "Portfolio":
        """Active again, as an operator has said what it holds."""
        event = portfolio_event("portfolio.resolved", self.portfolio_id, self.user_id, self.name)
        active = replace(self, status=PortfolioStatus.ACTIVE, stale_reason=None, lock=None, version=self.version + 1)
        return replace(active, updated_at=now, events=(event,)).to_be_watched(WatchDue.REFUSED)

    def cools_down_until(self) -> datetime | None:
        """When the next rebalance may be traded, None if one may be at any time."""
        return self._after_cooldown(self.rebalanced_at)

    def reports_cool_down_until(self) -> datetime | None:
        """When the next report may lead to transactions, None if one may at any time."""
        return self._after_cooldown(max(filter(None, (self.rebalanced_at, self.reported_at)), default=None))

    def _after_cooldown(self, last: datetime | None) -> datetime | None:
        if last is None or not self.policy.cooldown_seconds:
            return None
        return last + timedelta(seconds=self.policy.cooldown_seconds)


def portfolio_id_of(tenant_id: str, user_id: str, name: str) -> str:
    """The id that this portfolio has: the same for every creation of it."""
    return ids.derive_id(tenant_id, user_id, name)


def portfolio_event(type: str, portfolio_id: str, user_id: str, name: str) -> Event:
    """A fact about a portfolio."""
    return Event(type, {"portfolio_id": portfolio_id, "user_id": user_id, "name": name})


def tenant_partition(tenant_id: str) -> str:
    """Return the partition of the index `by_tenant` that lists the tenant's portfolios."""
    return f"T#{tenant_id}"


def user_partition(tenant_id: str, user_id: str) -> str:
    """Return the partition of the index `by_user` that lists the user's portfolios."""
    return f"T#{tenant_id}#U#{user_id}"


def _unpack_lock(text: str | None) -> Lock | None:
    if text is None:
        return None
    until, owner, reason = text.split("|", 2)
    return Lock(owner, reason, parse_time(until) if until else None)


def _pack_policy(policy: Policy) -> str | None:
    return None if policy == Policy() else json.dumps(policy.columns(), separators=(",", ":"))


def _unpack_policy(text: str | None) -> Policy:
    return Policy() if text is None else policy_of(json.loads(text))
