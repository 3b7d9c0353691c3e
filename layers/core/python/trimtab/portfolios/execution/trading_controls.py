"""Pre-trade controls: the limits that every order passes before the journal is stored. Pure.

The controls follow the market access rule of the SEC (Rule 15c3-5): no order far from the price, none too large, and no
more trading a day than a portfolio or a tenant should need. Top-ups and raised buys stay inside the same limits, which
the journal keeps (`ExecutionPolicy`). Reversals are exempt: they restore the state before, whatever it takes.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain, to_money, to_percent
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.traded_today import TradedToday
from trimtab.portfolios.rebalancing.orders import PlannedOrder


class Control(StrEnum):
    """Names of the controls, as in the configuration and in the policy of a portfolio."""

    PRICE_COLLAR = "price_collar"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    MAX_DAILY_TURNOVER = "max_daily_turnover"
    MAX_RUNS_PER_DAY = "max_runs_per_day"
    MAX_TENANT_NOTIONAL = "max_tenant_notional"

    @property
    def is_daily(self) -> bool:
        """True for a limit that begins anew each day, at 00:00 UTC."""
        return self not in {Control.PRICE_COLLAR, Control.MAX_ORDER_NOTIONAL}


class TradingControls(Struct, frozen=True):
    """Limits of a deployment; zero switches a control off.

    * `price_collar`: largest distance of a limit price from the accepted price, in percent of the price.
    * `max_order_notional`: largest value of one order at its limit price, in money.
    * `max_daily_turnover`: what a portfolio buys and sells a day, in percent of its value.
    * `max_runs_per_day`: rebalances of a portfolio a day.
    * `max_tenant_notional`: planned orders of all portfolios of a tenant a day, in money.
    * `max_messages_per_minute`: submissions and look-ups at the broker a minute.
    """

    price_collar: Decimal = Decimal(10)
    max_order_notional: Decimal = Decimal(1_000_000)
    max_daily_turnover: Decimal = Decimal(400)
    max_runs_per_day: int = 0
    max_tenant_notional: Decimal = ZERO
    max_messages_per_minute: int = 0

    def limit_of(self, control: Control, policy: Policy) -> Decimal | None:
        """Return the tighter limit of deployment and policy, None where neither has a limit."""
        of_deployment = Decimal(getattr(self, control.value)) or None
        limits = (of_deployment, getattr(policy, control.value, None))
        return min((Decimal(limit) for limit in limits if limit is not None), default=None)


class ControlRefusal(Struct, frozen=True):
    """A refused plan: the control, its limit and the value that is beyond the limit.

    `subject` is the symbol of the order, None for a total. `retry_at` is the next day for a daily limit.
    """

    control: Control
    limit: Decimal
    value: Decimal
    subject: str | None = None
    retry_at: datetime | None = None

    @property
    def message(self) -> str:
        """Sentence that names the control and both numbers."""
        subject = f" ({self.subject})" if self.subject else ""
        return (
            f"The control {self.control} refused the plan{subject}: {plain(self.value)} is beyond {plain(self.limit)}."
        )

    @property
    def details(self) -> dict[str, str]:
        """Members of a reason."""
        named = {"symbol": self.subject} if self.subject else {}
        return {"control": self.control.value, "limit": plain(self.limit), "value": plain(self.value), **named}


def notional_of(orders: Iterable[PlannedOrder]) -> Decimal:
    """Return the value of the orders at their planning prices."""
    return sum((order.notional for order in orders), ZERO)


def turnover_allowed(
    controls: TradingControls, policy: Policy, value: Decimal, traded: TradedToday | None, now: datetime
) -> Decimal | None:
    """Return the amount that the portfolio of this value may still trade today, None without a limit."""
    limit = controls.limit_of(Control.MAX_DAILY_TURNOVER, policy)
    if limit is None:
        return None
    done = traded.on(now).turnover if traded else ZERO
    return to_money(CONTEXT.divide(CONTEXT.multiply(value, limit), HUNDRED) - done)


def find_control_refusal(
    orders: tuple[PlannedOrder, ...],
    policy: Policy,
    controls: TradingControls,
    *,
    value: Decimal,
    traded: TradedToday | None,
    tenant_notional: Decimal,
    now: datetime,
) -> ControlRefusal | None:
    """Return the first control that the plan does not pass, None where it passes all.

    `value` is that of the portfolio, `traded` its totals, `tenant_notional` the value of the tenant's plans of the day.
    """
    planned, today = notional_of(orders), traded.on(now) if traded else TradedToday(now.date())
    turnover = CONTEXT.divide(CONTEXT.multiply(today.turnover + planned, HUNDRED), value) if value else ZERO
    totals = (
        (Control.MAX_RUNS_PER_DAY, Decimal(today.runs + 1)),
        (Control.MAX_DAILY_TURNOVER, turnover),
        (Control.MAX_TENANT_NOTIONAL, tenant_notional + planned),
    )
    values = [
        *((Control.PRICE_COLLAR, _distance(order), order.symbol) for order in orders),
        *(
            (Control.MAX_ORDER_NOTIONAL, CONTEXT.multiply(order.quantity, order.limit_price), order.symbol)
            for order in orders
        ),
        *((control, total, None) for control, total in totals),
    ]
    for control, found, subject in values:
        limit = controls.limit_of(control, policy)
        if limit is not None and found > limit:
            retry_at = _next_day(now) if control.is_daily else None
            return ControlRefusal(control, limit, to_percent(found), subject, retry_at)
    return None


def _distance(order: PlannedOrder) -> Decimal:
    """Return the distance of the limit price from the planning price, in percent."""
    return CONTEXT.divide(CONTEXT.multiply(abs(order.limit_price - order.price), HUNDRED), order.price)


def _next_day(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
