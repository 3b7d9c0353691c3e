"""The counters of a function: embedded metrics, written as one line at the end of an invocation."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from trimtab.kernel.errors import Refusal

metrics = Metrics(namespace="Trimtab")


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=amount)


def measure(name: str, amount: Decimal) -> None:
    """Adds an amount, of money for one; a metric is a JSON number, so this is for looking at and not for reckoning."""
    metrics.add_metric(name=name, unit=MetricUnit.NoUnit, value=float(amount))


@contextmanager
def counting_refusals(name: str) -> Iterator[None]:
    """Adds one to a counter where what is done within is refused."""
    try:
        yield
    except Refusal:
        count(name)
        raise
