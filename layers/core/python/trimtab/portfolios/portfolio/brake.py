"""The brake of a portfolio: exponential backoff after rolled back rebalances, and quarantine of refused symbols.

Pure functions of the stored brake and the time. The brake slows automatic rebalances only: a person's request passes
the backoff, but no request trades a quarantined side of a symbol.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.portfolios.portfolio.policy import Restriction

REPEATED_FAILURES = 2
"""Rolled back rebalances of one episode from which a person has to look."""


class BrakeLimits(Struct, frozen=True):
    """Durations of the brake, in seconds.

    * `backoff_seconds`: pause after the first rolled back rebalance of an episode, doubled with each further one.
    * `max_backoff_seconds`: longest pause of the backoff; a longer cooldown of the policy still counts.
    * `quarantine_seconds`: time after which a quarantine expires.
    """

    backoff_seconds: int = 900
    max_backoff_seconds: int = 86_400
    quarantine_seconds: int = 30 * 86_400

    def pause_after(self, failures: int) -> timedelta:
        """Return the pause of the backoff after so many rolled back rebalances, at least one.

        >>> [BrakeLimits().pause_after(failures).seconds // 60 for failures in (1, 2, 3)]
        [15, 30, 60]
        >>> BrakeLimits().pause_after(1000)
        datetime.timedelta(days=1)
        """
        doubled = self.backoff_seconds * (1 << min(failures - 1, 32))
        return timedelta(seconds=min(doubled, self.max_backoff_seconds))


DEFAULT_LIMITS = BrakeLimits()


class Quarantine(Struct, frozen=True):
    """The sides of a symbol that are not traded, because the broker refused an order permanently.

    `reason` is the sentence of the broker's refusal, `rebalance_id` the rebalance whose order was refused.
    """

    restriction: Restriction
    reason: str
    rebalance_id: str
    since: datetime
    until: datetime

    def join(self, other: "Quarantine") -> "Quarantine":
        """Return the quarantine of both: with different restrictions, the symbol is frozen."""
        if other.restriction is self.restriction:
            return replace(other, since=self.since)
        return replace(other, since=self.since, restriction=Restriction.FROZEN)


class Brake(Struct, frozen=True, omit_defaults=True):
    """Backoff and quarantine of a portfolio. An episode lasts from a rollback to the next completed rebalance.

    `failures` counts the rolled back rebalances of the episode, `failing_since` is the time of the first and
    `failed_rebalance_id` the newest of them. Automatic rebalances wait until `blocked_until`. `quarantine` holds
    quarantines by symbol; an expired quarantine has no effect.
    """

    failures: int = 0
    failing_since: datetime | None = None
    failed_rebalance_id: str | None = None
    blocked_until: datetime | None = None
    quarantine: Mapping[str, Quarantine] = field(default_factory=dict)

    def blocks(self, now: datetime) -> bool:
        """Return True while automatic rebalances wait."""
        return self.blocked_until is not None and now < self.blocked_until

    @property
    def needs_attention(self) -> bool:
        """True after repeated failures."""
        return self.failures >= REPEATED_FAILURES

    @property
    def attention_since(self) -> datetime | None:
        """Earliest time since which a person has to look at the portfolio, None for no such reason."""
        since = [each.since for each in self.quarantine.values()]
        if self.needs_attention and self.failing_since is not None:
            since.append(self.failing_since)
        return min(since, default=None)

    def in_quarantine(self, now: datetime) -> dict[str, Quarantine]:
        """Return the quarantines that have not expired, by symbol."""
        return {symbol: each for symbol, each in sorted(self.quarantine.items()) if now < each.until}

    @property
    def next_expiry(self) -> datetime | None:
        """Time at which the next quarantine expires, None without a quarantine."""
        return min((each.until for each in self.quarantine.values()), default=None)

    def record_failure(
        self, rebalance_id: str, cooldown_seconds: int, now: datetime, limits: BrakeLimits = DEFAULT_LIMITS
    ) -> "Brake":
        """Return the brake after a rolled back rebalance: the pause is the cooldown or the backoff, the longer one."""
        failures = self.failures + 1
        return replace(
            self.pause(cooldown_seconds, now, limits.pause_after(failures)),
            failures=failures,
            failing_since=self.failing_since or now,
            failed_rebalance_id=rebalance_id,
        )

    def pause(self, cooldown_seconds: int, now: datetime, least: timedelta) -> "Brake":
        """Return the brake that blocks for the cooldown, at least for `least`; a later end stays."""
        end = now + max(timedelta(seconds=cooldown_seconds), least)
        return replace(self, blocked_until=max(end, self.blocked_until or end))

    def record_success(self, now: datetime) -> "Brake":
        """Return the brake after a completed rebalance: the episode is over, quarantines stay until they expire."""
        return Brake(quarantine=self.in_quarantine(now))

    def isolate(self, quarantines: Mapping[str, Quarantine], now: datetime) -> "Brake":
        """Return the brake with further symbols in quarantine."""
        present = self.in_quarantine(now)
        joined = {
            symbol: present[symbol].join(added) if symbol in present else added for symbol, added in quarantines.items()
        }
        return replace(self, quarantine=present | joined)

    def lift(self, symbol: str, now: datetime) -> "Brake":
        """Return the brake without the quarantine of a symbol."""
        kept = {name: each for name, each in self.in_quarantine(now).items() if name != symbol}
        return replace(self, quarantine=kept)

    def without_expired(self, now: datetime) -> "Brake":
        """Return the brake without expired quarantines."""
        kept = self.in_quarantine(now)
        return self if len(kept) == len(self.quarantine) else replace(self, quarantine=kept)
