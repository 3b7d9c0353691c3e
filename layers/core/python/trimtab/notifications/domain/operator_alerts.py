"""Readable texts of the domain events that an operator has to see. Pure."""

import unicodedata
from collections.abc import Mapping
from typing import Any, assert_never
from urllib.parse import quote

import msgspec
from msgspec import Struct

from trimtab.contracts.event_data import (
    AlertData,
    AlertType,
    BackingOffData,
    DisabledContactData,
    HaltedData,
    QuarantineData,
    RejectedMailData,
    StaleData,
    StuckData,
    StuckJobData,
)
from trimtab.contracts.events import CloudEvent
from trimtab.kernel.clock import format_time

MAX_SUBJECT = 100
"""The largest number of characters in the subject of an SNS message, which may be ASCII only."""


class OperatorAlert(Struct, frozen=True):
    """An alert as text: a subject of at most 100 ASCII characters, and a body with ids, remedy and link."""

    subject: str
    text: str


class _Content(Struct, frozen=True):
    """The parts of an alert: `path` leads from the address of the API to the resource, `ids` are listed at the end."""

    title: str
    happened: str
    remedy: str
    path: str
    ids: Mapping[str, str]


def operator_alert(event: CloudEvent, public_url: str) -> OperatorAlert:
    """Return the text of an event; `public_url` is the address of the API, before the paths of the routes.

    Raises `ValueError` for an event that is no alert, and pydantic's `ValidationError` for data that do not fit.
    """
    content = _content(AlertType(event.type), event.data)
    ids = {**content.ids, "tenant": event.tenantid, "event": f"{event.type} {event.id}"}
    lines = [
        content.happened,
        "",
        f"What to do: {content.remedy}",
        f"{public_url}{content.path}",
        "",
        *(f"{name}: {value}" for name, value in ids.items()),
        f"time: {format_time(event.time)}",
    ]
    return OperatorAlert(_subject(content.title), "\n".join(lines) + "\n")


def _content(type: AlertType, data: Mapping[str, Any]) -> _Content:
    match type:
        case AlertType.ALERT_RAISED:
            content = _raised(AlertData.model_validate(data))
        case AlertType.ORDERS_HALTED:
            content = _halted(HaltedData.model_validate(data))
        case AlertType.PORTFOLIO_STALE:
            content = _stale(StaleData.model_validate(data))
        case AlertType.PORTFOLIO_BACKING_OFF:
            content = _backing_off(BackingOffData.model_validate(data))
        case AlertType.SYMBOL_QUARANTINED:
            content = _quarantined(QuarantineData.model_validate(data))
        case AlertType.REBALANCE_STUCK:
            content = _stuck_rebalance(StuckData.model_validate(data))
        case AlertType.RECALCULATION_STUCK:
            content = _stuck_job(StuckJobData.model_validate(data))
        case AlertType.CONTACT_DISABLED:
            content = _disabled(DisabledContactData.model_validate(data))
        case AlertType.MAIL_REJECTED:
            content = _rejected(RejectedMailData.model_validate(data))
        case _:
            assert_never(type)
    return content


def _raised(data: AlertData) -> _Content:
    if data.portfolio_id is not None:
        path = f"/portfolios/{data.portfolio_id}"
        remedy = f"Compare the portfolio with its alert rules (GET {path}/alert-rules)."
    elif symbol := data.details.get("symbol"):
        path = f"/quotes/{quote(symbol, safe='')}"
        remedy = f"Compare the price with another source (GET {path}), then release or withdraw the price."
    else:
        path, remedy = "/health", "Correct the data at their source; the next nightly run reads them again."
    ids = {"portfolio": data.portfolio_id, "user": data.user_id, "rule": data.rule, "episode": data.episode}
    named = {name: value for name, value in ids.items() if value is not None}
    return _Content(data.title, f"{data.title}. {data.text}", remedy, path, {**named, **data.details})


def _halted(data: HaltedData) -> _Content:
    happened = f"All orders of the tenant are halted: {data.reason}"
    ids = {"control": data.control, "count": str(data.count), "window_seconds": str(data.window_seconds)}
    return _Content(f"Orders halted by {data.control}", happened, data.remedy, "/halt", ids)


def _stale(data: StaleData) -> _Content:
    happened = f"Portfolio {data.name} is stale and refuses trades and rebalances: {data.reason}"
    ids = {**_owned(data), "rebalance": data.rebalance_id}
    return _Content(f"Portfolio {data.name} is stale", happened, data.remedy, f"/portfolios/{data.portfolio_id}", ids)


def _backing_off(data: BackingOffData) -> _Content:
    happened = (
        f"A rebalance of portfolio {data.name} was rolled back ({data.reason_code}). Automatic rebalances wait until "
        f"{format_time(data.until)}."
    )
    ids = {**_owned(data), "rebalance": data.rebalance_id}
    path = f"/portfolios/{data.portfolio_id}/rebalances/{data.rebalance_id}"
    return _Content(f"Rebalance of {data.name} rolled back", happened, data.remedy, path, ids)


def _quarantined(data: QuarantineData) -> _Content:
    happened = (
        f"Portfolio {data.name} does not trade {data.symbol} ({data.restriction}) until {format_time(data.until)}, "
        f"because the broker refused an order: {data.reason}"
    )
    ids = {**_owned(data), "symbol": data.symbol, "rebalance": data.rebalance_id}
    title = f"{data.symbol} in quarantine for {data.name}"
    return _Content(title, happened, data.remedy, f"/portfolios/{data.portfolio_id}", ids)


def _stuck_rebalance(data: StuckData) -> _Content:
    happened = f"Rebalance {data.rebalance_id} is undecided after three resends of its request."
    ids = {"portfolio": data.portfolio_id, "rebalance": data.rebalance_id}
    path = f"/portfolios/{data.portfolio_id}/rebalances/{data.rebalance_id}"
    remedy = _redrive("rebalancing_on_rebalance_requested", "rebalance-requests")
    return _Content("Rebalance request undecided", happened, remedy, path, ids)


def _stuck_job(data: StuckJobData) -> _Content:
    happened = f"The recalculation or import {data.job_id} is unfinished after three resends of its request."
    ids = {"portfolio": data.portfolio_id, "job": data.job_id}
    remedy = _redrive("ledger_on_recalculation_requested", "recalculations")
    return _Content("Recalculation unfinished", happened, remedy, f"/portfolios/{data.portfolio_id}", ids)


def _disabled(data: DisabledContactData) -> _Content:
    happened = f"The contact {data.email} gets no mail from now on, because of a {data.reason}: {data.detail}"
    path = f"/portfolios/{data.portfolio_id}/contacts"
    remedy = f"Correct the address, or set it again once it takes mail, with PUT {path}."
    ids = {"portfolio": data.portfolio_id, "email": data.email}
    return _Content("Contact disabled", happened, remedy, path, ids)


def _rejected(data: RejectedMailData) -> _Content:
    happened = f"Amazon SES rejected a mail to {data.email} for good: {data.reason}"
    path = f"/portfolios/{data.portfolio_id}/contacts"
    remedy = f"Verify the sender and the sending limits in SES, or correct the address with PUT {path}."
    ids = {"portfolio": data.portfolio_id, "email": data.email, "message": data.message_id}
    return _Content("Mail rejected", happened, remedy, path, ids)


def _owned(data: StaleData | BackingOffData | QuarantineData) -> dict[str, str]:
    return {"portfolio": data.portfolio_id, "user": data.user_id}


def _redrive(function: str, queue: str) -> str:
    return f"Find the error in the log of the function {function}, then redrive the dead-letter queue of {queue}."


def _subject(title: str) -> str:
    """Return the title as one line of ASCII, accents dropped, cut to the length that SNS accepts."""
    text = unicodedata.normalize("NFKD", f"Trimtab: {title}").encode("ascii", "ignore").decode()
    line = " ".join("".join(letter for letter in text if letter.isprintable() or letter.isspace()).split())
    return line if len(line) <= MAX_SUBJECT else line[: MAX_SUBJECT - 3].rstrip() + "..."


def webhook_text(subject: str | None, message: str) -> str:
    """Return a message of the alerts topic as text for a Slack-compatible webhook, with `&`, `<` and `>` escaped.

    Of a CloudWatch alarm, which is JSON, the description and the reason are kept; the subject has the state. An alarm
    that is over loses the description, which is about the failure.
    """
    alarm = _read_alarm(message)
    if alarm:
        is_over = alarm.get("NewStateValue") == "OK"
        parts = ("The alarm is over." if is_over else alarm.get("AlarmDescription"), alarm.get("NewStateReason"))
        message = "\n".join(str(part) for part in parts if part)
    text = f"{subject}\n{message}" if subject else message
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _read_alarm(message: str) -> Mapping[str, Any]:
    """Return the members of an alarm's JSON; empty for a text."""
    try:
        read = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return {}
    return read if isinstance(read, dict) and "NewStateReason" in read else {}
