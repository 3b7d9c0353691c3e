"""Metrics of a function in the embedded metric format (EMF), written as one log line at the end of an invocation."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from trimtab.kernel.errors import Refusal

metrics = Metrics(namespace="Trimtab")


def count(name: str, amount: int = 1) -> None:
    """Add to a counter."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=amount)


def measure(name: str, amount: Decimal) -> None:
    """Add an amount, such as money. Metrics are JSON numbers: an amount is for dashboards, not for accounting."""
    metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=float(amount))


@contextmanager
def counting_refusals(name: str) -> Iterator[None]:
    """Count refusals raised inside the context; the exceptions propagate."""
    try:
        yield
    except Refusal:
        count(name)
        raise
