"""Domain events: facts produced by a write, published after the write with ids derived from the item."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from pydantic import Field

from trimtab.contracts.fields import Model, Time
from trimtab.contracts.stored_form import UnknownForm, pack, unpack
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time

SOURCE = "trimtab"
PLATFORM = "platform"
"""The tenant of data and events that belong to the whole platform."""


class Event(Struct, frozen=True):
    """A domain event as an item carries it: a type (a past participle) and plain JSON data."""

    type: str
    data: Mapping[str, Any]


class _PackedEvents(Struct, frozen=True):
    v: int
    events: tuple[Event, ...] = ()


def pack_events(events: Sequence[Event]) -> str | None:
    """Return the events of a write as the text stored in the item, None for no events.

    None removes the attribute, and with it the events of the write before.
    """
    return pack(_PackedEvents(1, tuple(events))) if events else None


def unpack_events(text: str) -> tuple[Event, ...]:
    """Return the events in the text of an item; raises `UnknownForm` for an unknown version."""
    packed = unpack(text, _PackedEvents)
    match packed.v:
        case 1:
            return packed.events
    raise UnknownForm("packed events", packed.v)


class CloudEvent(Model):
    """CloudEvents 1.0 in JSON; `tenantid` is an extension attribute. Delivery is at least once; deduplicate by `id`."""

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    id: str
    """The id of the event, the same at each delivery: deduplicate by it. Example:
    `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    source: Literal["trimtab"]
    """The system that published the event."""
    type: str
    """The type of the event: a noun and a past participle. Example: `portfolio.created`"""
    time: Time
    """The time of the write that the event describes (UTC)."""
    datacontenttype: Literal["application/json"]
    """The media type of `data`."""
    tenantid: str
    """The tenant whose data changed; `platform` for market data and alerts about the whole platform. Example: `demo`"""
    traceparent: str | None = None
    """The trace that the event belongs to (W3C Trace Context); absent where the write belonged to none. Example:
    `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`"""
    data: Mapping[str, Any] = Field(default_factory=dict)
    """The members of the event."""


def event_id(key: str, version: int, position: int) -> str:
    """Return the id of an event, derived from the item's key, the version written, and the position in the write."""
    return ids.derive_id(key, version, position)


def cloud_event(
    event: Event, *, id: str, tenant_id: str, time: datetime, traceparent: str | None = None
) -> dict[str, Any]:
    """Return the event as a CloudEvent."""
    trace = {"traceparent": traceparent} if traceparent else {}
    return {
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": event.type,
        "time": format_time(time),
        "datacontenttype": "application/json",
        "tenantid": tenant_id,
        **trace,
        "data": dict(event.data),
    }
