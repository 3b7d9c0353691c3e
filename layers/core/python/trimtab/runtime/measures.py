"""The counters of a function: embedded metrics, written as one line at the end of an invocation."""

from aws_lambda_powertools.metrics import Metrics, MetricUnit

metrics = Metrics(namespace="Trimtab")


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=amount)
