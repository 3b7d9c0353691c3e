"""The calendar rule of a policy: the days on which a rebalance is due, regardless of drift."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

from trimtab.kernel.trading_days import on_or_before
from trimtab.portfolios.portfolio.policy import CalendarRule, Frequency

DUE_AT = time(15, 30, tzinfo=UTC)
"""Within the trading session of New York all year: 10:30 local time in winter, 11:30 in summer."""

_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.ANNUALLY: 12}


def next_due(rule: CalendarRule, after: datetime) -> datetime:
    """Return the first time strictly after `after` at which the rule is due, in UTC.

    The rule is due once for each week, month, quarter or year, at 15:30 UTC. A day that is not a trading day moves to
    the trading day before, which may be in the previous period.
    """
    now = after.astimezone(UTC)
    # Due days move only backwards, so those of earlier periods are past. Three periods suffice: the due day of the
    # present period may be past, and that of the next period may have moved into the present one and be past too.
    due = (datetime.combine(on_or_before(_day(rule, now.date(), ahead)), DUE_AT) for ahead in range(3))
    return next(instant for instant in due if instant > now)


def _day(rule: CalendarRule, today: date, ahead: int) -> date:
    """Return the day that the rule names in the period `ahead` periods after the present one; any day of the week."""
    if rule.frequency is Frequency.WEEKLY:
        return today + timedelta(days=rule.day - today.isoweekday(), weeks=ahead)
    length = _MONTHS[rule.frequency]
    months = today.year * 12 + today.month - 1
    first = months - months % length + ahead * length
    year, month = divmod(first + (rule.month - 1 if length > 1 else 0), 12)
    return date(year, month + 1, min(rule.day, monthrange(year, month + 1)[1]))
