"""Who is told about a portfolio, and what a message to them looks like."""

import re
from collections.abc import Mapping

from msgspec import Struct

MAX_CONTACTS = 10
MAX_ADDRESS = 254
ADDRESS_PATTERN = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,4}"

_ADDRESS = re.compile(ADDRESS_PATTERN)


class Contacts(Struct, frozen=True):
    """The e-mail addresses that are told about a portfolio; `version` guards the next write."""

    tenant_id: str
    portfolio_id: str
    emails: tuple[str, ...] = ()
    version: int = 0


class Attachment(Struct, frozen=True):
    """A picture that the HTML of a message shows as `cid:<name>`."""

    name: str
    media_type: str
    content: str


class Message(Struct, frozen=True):
    """An e-mail. `text` is all there is to it; `html`, where it is there, shows the same better."""

    subject: str
    text: str
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()


def is_address(text: str) -> bool:
    """Whether the text can be an e-mail address here: ASCII, and nothing that a mail header could mistake."""
    return len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


def of_alert(title: str, text: str, facts: Mapping[str, str]) -> Message:
    """The message that tells of an alert."""
    lines = [text, "", *(f"{name}: {value}" for name, value in sorted(facts.items()))]
    return Message(_one_line(title), "\n".join(lines).rstrip() + "\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
