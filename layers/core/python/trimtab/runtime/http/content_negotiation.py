"""Content negotiation between two media types by the `Accept` header (RFC 9110, section 12.5.1)."""

import re

_QUALITY = re.compile(r"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
MAX_RANGES = 50


def prefers(accept: str, form: str, usual: str) -> bool:
    """Return True if the header prefers the media type `form` to the `usual` media type.

    `*/*` prefers the usual media type. Of two media types with equal quality, the first in the header wins.
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
    """Return the quality of a media type and the negated position of the most specific range that names the type."""
    for name in (media_type, media_type.partition("/")[0] + "/*"):
        for place, (each, quality) in enumerate(ranges):
            if each == name and quality:
                return quality, -place
            if each == name:
                return 0.0, 0
    return 0.0, 0
