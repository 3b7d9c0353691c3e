"""Which of two forms of an answer a request prefers, by its `Accept` header (RFC 9110, 12.5.1)."""

import re

_QUALITY = re.compile(r"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
MAX_RANGES = 50


def prefers(accept: str, form: str, usual: str) -> bool:
    """Whether the media type `form` is wanted rather than the `usual` one.

    Only ranges that name a type count: `*/*` wants what is usual. Of two that are wanted as much, the one that is
    named first.
    """
    ranges = [_range(part) for part in accept.split(",")[:MAX_RANGES]]
    wanted, otherwise = (_wanted(ranges, each) for each in (form, usual))
    return wanted > (0.0, 0) and wanted > otherwise


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (each.strip() for each in part.split(";"))
    given = [each for each in parameters if each[:2].lower() == "q="]
    found = _QUALITY.fullmatch(given[0]) if given else None
    return name.lower(), float(found[1]) if found else 0.0 if given else 1.0


def _wanted(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int]:
    """How much it is wanted, by the most specific range that names it, and how early that stands."""
    for name in (media_type, media_type.partition("/")[0] + "/*"):
        for place, (each, quality) in enumerate(ranges):
            if each == name and quality:
                return quality, -place
            if each == name:
                return 0.0, 0
    return 0.0, 0
