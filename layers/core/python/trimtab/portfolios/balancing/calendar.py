"""The calendar condition of a policy: when a rebalance is due, whatever the drift is."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

from trimtab.kernel.trading_days import on_or_before
from trimtab.portfolios.portfolio.policy import CalendarRule, Every

DUE_AT = time(15, 30, tzinfo=UTC)
"""Within the session of New York all year round: 10:30 in winter, 11:30 in summer."""

_MONTHS = {Every.MONTHLY: 1, Every.QUARTERLY: 3, Every.ANNUALLY: 12}


def next_due(rule: CalendarRule, after: datetime) -> datetime:
    """The first instant strictly after `after` at which the rule is due, in UTC.

    Every week, month, quarter or year is due exactly once, at 15:30 UTC of its day. That may fall into the period
    before it: where its day is no trading day, it moves to the trading day before, also across a month's border.
    """
    now = after.astimezone(UTC)
    # A due day only ever moves back, so the periods before this one are over; this one's and the next one's may be
    # over too, the next one's only where it moved into this period.
    due = (datetime.combine(on_or_before(_day(rule, now.date(), ahead)), DUE_AT) for ahead in range(3))
    return next(each for each in due if each > now)


def _day(rule: CalendarRule, today: date, ahead: int) -> date:
    """The rule's day in the period that lies `ahead` of today's, trading day or not."""
    if rule.every is Every.WEEKLY:
        return today + timedelta(days=rule.day - today.isoweekday(), weeks=ahead)
    length = _MONTHS[rule.every]
    months = today.year * 12 + today.month - 1
    first = months - months % length + ahead * length
    year, month = divmod(first + (rule.month - 1 if length > 1 else 0), 12)
    return date(year, month + 1, min(rule.day, monthrange(year, month + 1)[1]))
