"""Responses and parameters of the list of events."""

from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from trimtab.contracts.event_data import DATA
from trimtab.contracts.events import CloudEvent
from trimtab.contracts.fields import Model
from trimtab.kernel.errors import invalid_cursor
from trimtab.webhooks.domain.event_log import MAX_SEQUENCE


def _known_type(text: str) -> str:
    if text not in DATA:
        raise ValueError("Use a type of the reference of events, such as portfolio.created.")
    return text


EventType = Annotated[
    str, AfterValidator(_known_type), WithJsonSchema({"type": "string", "enum": sorted(DATA)}, mode="validation")
]


class EventPage(Model):
    """Events in the order of the log."""

    items: list[CloudEvent]
    """The events of this page, oldest first."""
    after: str
    """The value of the parameter `after` for the next request. At the end of the list, too: the next request returns
    the events logged since. Example: `WyJiZGYxMjMiLFs0Ml1d`"""
    has_more: bool
    """True if further events can be read at once; false at the end of the list. Example: `false`"""


def to_sequence(position: Any) -> int:
    """Return the number of the last entry read, 0 for no cursor; raises `Invalid` for a forged cursor."""
    match position:
        case None:
            return 0
        case [int(sequence)] if 0 <= sequence < MAX_SEQUENCE:
            return sequence
    raise invalid_cursor()
