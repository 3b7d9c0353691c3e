"""The channels of alerts in the in-process system: the alerts topic, and a stand-in for a Slack-compatible webhook."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.alpaca import Fault, Reply, serving
from tests.support.aws_setup import add_secret, backend
from tests.support.system import ALERTS_TOPIC

WEBHOOK_SECRET = "alert-webhook"


@dataclass
class FakeWebhook:
    """A served webhook that records what is posted."""

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)

    def fault(self, _: str) -> Fault | None:
        """Return the next fault, None if there is none."""
        return self.faults.pop(0) if self.faults else None

    def reply(self, _: str, __: str, ___: dict[str, str], ____: bytes) -> Reply:
        """Return the answer to a request."""
        return 200, {"ok": True}

    @property
    def texts(self) -> list[str]:
        """The posted texts, in order."""
        return [body["text"] for _, _, _, body in self.requests]


@contextmanager
def served_webhook() -> Iterator[FakeWebhook]:
    """Provide a served webhook whose URL is in the secret that the function reads."""
    with serving(FakeWebhook()) as fake:
        add_secret(WEBHOOK_SECRET, f"{fake.url}/services/T0/B0/key\n")
        yield fake


def published_alerts() -> list[tuple[str, str]]:
    """Return the subject and the text of each message on the alerts topic, in order."""
    sent = backend("sns").topics[ALERTS_TOPIC].sent_notifications
    return [(subject, text) for _, text, subject, *_ in sent]
