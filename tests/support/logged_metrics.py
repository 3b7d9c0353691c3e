"""Metrics that functions wrote to their logs in the embedded metric format."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence


def logged_metrics(output: str) -> Mapping[str, Sequence[float]]:
    """Return the values of each metric in captured output, in the order of writing; empty for an absent metric."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for line in output.splitlines():
        if line.startswith('{"_aws"'):
            written = json.loads(line)
            for metric in written["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                found[metric["Name"]] += written[metric["Name"]]
    return found
