"""Metrics of a function in the embedded metric format (EMF), written as one log line at the end of an invocation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from trimtab.kernel.errors import Refusal

metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Trimtab"))


def count(name: str, amount: int = 1) -> None:
    """Add to a counter."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=amount)


def measure(name: str, amount: Decimal) -> None:
    """Add an amount, such as money. Metrics are JSON numbers: an amount is for dashboards, not for accounting."""
    metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=float(amount))


def measure_seconds(name: str, duration: timedelta) -> None:
    """Add a duration in seconds; a negative duration, by clocks that differ, counts as zero."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=max(duration.total_seconds(), 0.0))


@contextmanager
def counting_refusals(name: str) -> Iterator[None]:
    """Count refusals raised inside the context; the exceptions propagate."""
    try:
        yield
    except Refusal:
        count(name)
        raise
