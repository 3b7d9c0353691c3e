"""Automatic halts: a tenant's orders are halted once too many incidents happen within a window. Pure.

An incident is a rebalance that was rolled back, a plan or an order that was refused, or a price that was held while a
portfolio needed the price. Its id is derived, so an incident counts once, however often the message that reports it is
delivered.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field

IncidentIds = Mapping["HaltControl", Collection[str]]
"""Ids of incidents by the control that counts them."""
MAX_REMEMBERED = 400
"""Incidents of one control that are kept, and the highest bound; 30 KB of the item for each control."""
REMEDY = (
    "Find the cause in the listed portfolios (GET /portfolios?attention=true), then lift the halt with DELETE /halt. "
    "Until then no order of the tenant is sent."
)


class HaltControl(StrEnum):
    """Controls that halt a tenant: rebalances rolled back, plans and orders refused, prices held, within the window."""

    ROLLBACKS = "rollbacks"
    REFUSALS = "refusals"
    HELD_PRICES = "held_prices"


class HaltBounds(Struct, frozen=True):
    """Numbers of incidents within `window_seconds` at which a tenant is halted; zero switches a control off."""

    window_seconds: int = 3600
    rollbacks: int = 50
    held_prices: int = 50
    refusals: int = 100

    def __post_init__(self) -> None:
        if max(self.rollbacks, self.held_prices, self.refusals) > MAX_REMEMBERED:
            raise ValueError(f"a bound of an automatic halt is at most {MAX_REMEMBERED}")

    def of(self, control: HaltControl) -> int:
        """Return the bound of a control."""
        match control:
            case HaltControl.ROLLBACKS:
                return self.rollbacks
            case HaltControl.REFUSALS:
                return self.refusals
            case HaltControl.HELD_PRICES:
                return self.held_prices


class Incidents(Struct, frozen=True, omit_defaults=True):
    """Incidents of a tenant by control and id, with their times; those before `lifted_at` do not count any more."""

    seen: Mapping[HaltControl, Mapping[str, datetime]] = field(default_factory=dict)
    lifted_at: datetime | None = None

    def add(self, control: HaltControl, ids: Iterable[str], now: datetime, bounds: HaltBounds) -> "Incidents":
        """Return the incidents with the new ones among these; the incidents themselves where none is new."""
        since = now - timedelta(seconds=bounds.window_seconds)
        kept = {name: at for name, at in self.seen.get(control, {}).items() if at > since}
        new = {name: now for name in ids if name not in kept}
        if not new:
            return self
        newest = sorted((kept | new).items(), key=lambda incident: incident[1])[-MAX_REMEMBERED:]
        return Incidents({**self.seen, control: dict(newest)}, self.lifted_at)

    def count(self, control: HaltControl, now: datetime, bounds: HaltBounds) -> int:
        """Return the number of incidents within the window and since the last halt was lifted."""
        start = now - timedelta(seconds=bounds.window_seconds)
        since = max(start, self.lifted_at or start)
        return sum(at > since for at in self.seen.get(control, {}).values())

    def is_over(self, control: HaltControl, now: datetime, bounds: HaltBounds) -> bool:
        """Return whether the control halts the tenant."""
        return 0 < bounds.of(control) <= self.count(control, now, bounds)


def explain_halt(control: HaltControl, count: int, bounds: HaltBounds) -> str:
    """Return the reason of an automatic halt, for a person."""
    match control:
        case HaltControl.ROLLBACKS:
            happened = f"{count} rebalances were rolled back"
        case HaltControl.REFUSALS:
            happened = f"{count} plans or orders were refused"
        case HaltControl.HELD_PRICES:
            happened = f"{count} prices were held"
    return f"{happened} within {bounds.window_seconds} seconds (control {control.value})"
