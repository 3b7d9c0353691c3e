"""Positions in a trace (W3C Trace Context), as `traceparent` and as the short text that items store."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from msgspec import Struct

TRACEPARENT = "traceparent"
"""The name of the header, the message attribute and the member of an event."""
TRACE = "trace"
"""The name of the attribute of an item."""

_TRACEPARENT_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_STORED_FORM = re.compile(r"[\w-]{32}\.?", re.ASCII)
_FIRST_VERSION, _INVALID_VERSION = "00", "ff"
_SAMPLED, _UNSAMPLED_MARK, _TRACE_ID_DIGITS = 1, ".", 32


class Trace(Struct, frozen=True):
    """A position in a trace: the trace id (32 hexadecimal digits) and the span id of the hop (16)."""

    trace_id: str
    span_id: str
    is_sampled: bool = True

    def __str__(self) -> str:
        """Return the value of `traceparent` for the next hop.

        >>> str(Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
        '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
        """
        return f"{_FIRST_VERSION}-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"

    def pack(self) -> str:
        """Return the position as the 32 characters that an item stores, 33 if the trace is not sampled.

        >>> Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7").pack()
        'S_kvNXezTaajzpKdDg5HNgDwZ6oLqQK3'
        """
        ids = urlsafe_b64encode(bytes.fromhex(self.trace_id + self.span_id)).decode()
        return ids if self.is_sampled else ids + _UNSAMPLED_MARK


def unpack_trace(text: str | None) -> Trace | None:
    """Return the position that an item stores, None for an item without a trace.

    >>> unpack_trace("S_kvNXezTaajzpKdDg5HNgDwZ6oLqQK3").span_id
    '00f067aa0ba902b7'
    """
    if text is None or not _STORED_FORM.fullmatch(text):
        return None
    ids = urlsafe_b64decode(text.removesuffix(_UNSAMPLED_MARK)).hex()
    return Trace(ids[:_TRACE_ID_DIGITS], ids[_TRACE_ID_DIGITS:], not text.endswith(_UNSAMPLED_MARK))


def parse_traceparent(text: object) -> Trace | None:
    """Return the position in a `traceparent`, None for a malformed one. Later versions may have further fields.

    >>> parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").is_sampled
    False
    >>> parse_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01") is None
    True
    """
    match = _TRACEPARENT_FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    is_valid = version != _INVALID_VERSION and (version != _FIRST_VERSION or more is None)
    if not is_valid or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))
