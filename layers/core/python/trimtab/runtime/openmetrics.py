"""The OpenMetrics text format 1.0 for gauges: https://github.com/prometheus/OpenMetrics. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

MEDIA_TYPE = "application/openmetrics-text"
CONTENT_TYPE = f"{MEDIA_TYPE}; version=1.0.0; charset=utf-8"


class GaugeValue(Struct, frozen=True):
    """A value of a gauge, under its labels."""

    value: int
    labels: Mapping[str, str] = {}


class Gauge(Struct, frozen=True):
    """A gauge: a name, a sentence that explains the name, and the samples. A unit, such as seconds, ends the name."""

    name: str
    help: str
    samples: tuple[GaugeValue, ...]
    unit: str = ""


def openmetrics_text(gauges: Iterable[Gauge]) -> str:
    r"""Return the exposition of the gauges.

    >>> print(openmetrics_text([Gauge("jobs", "Jobs.", (GaugeValue(3, {"queue": 'a"b'}),))]), end="")
    # TYPE jobs gauge
    # HELP jobs Jobs.
    jobs{queue="a\"b"} 3
    # EOF
    """
    return "".join(f"{line}\n" for gauge in gauges for line in _lines(gauge)) + "# EOF\n"


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# TYPE {gauge.name} gauge"
    if gauge.unit:
        yield f"# UNIT {gauge.name} {gauge.unit}"
    yield f"# HELP {gauge.name} {_escape(gauge.help)}"
    for sample in gauge.samples:
        labels = ",".join(f'{name}="{_escape(value)}"' for name, value in sorted(sample.labels.items()))
        yield f"{gauge.name}{{{labels}}} {sample.value}" if labels else f"{gauge.name} {sample.value}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
