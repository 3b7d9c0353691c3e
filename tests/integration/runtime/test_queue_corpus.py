"""Hostile messages on every queue: each is returned to the queue alone, nothing is stored, and no worker fails."""

import base64
import gzip
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runtime.test_bad_input import BAD_TEXTS
from tests.support.moto_state import stored_items
from tests.support.system import TABLES, LambdaContext, System, in_process_system, payload, sqs_record
from tests.support.tokens import mint
from trimtab.contracts import messages

NOT_ON_A_QUEUE = {
    *("analytics_on_night", "balancing_on_commit", "balancing_on_sweep", "betting_on_commit", "events_on_commit"),
    *("market_on_night", "webhooks_on_connection"),
}
WORKERS = sorted(path.name for path in (Path(__file__).parents[3] / "functions").glob("*_on_*"))
ON_QUEUES = [name for name in WORKERS if name not in NOT_ON_A_QUEUE]
MODELS = [model for model in vars(messages).values() if isinstance(model, type) and issubclass(model, messages.Message)]
TYPES = sorted(default for model in MODELS if isinstance(default := model.model_fields["type"].default, str))
HOSTILE_VALUES: list[Any] = [
    *(None, True, -1, 10**400, "1e400", "NaN", "\N{ARABIC-INDIC DIGIT ONE}", "", " ", "\x00", "\u202e", "a" * 100_000),
    *("../../etc/passwd", "T#other#P#1", "%2e%2e", "'; DROP TABLE x; --", "<script>", "${jndi:ldap://x}"),
    *([], [[]], {}, {"$ne": 1}, {"S": "x"}),
]
MEMBERS = ("tenant_id", "portfolio_id", "rebalance_id", "webhook_id", "job_id", "market_id", "quotes", "new_allocation")


def corpus() -> Iterator[str]:
    """Yield bodies that no worker takes: no strict JSON, another encoding, and wrong members under every type."""
    yield from (text for _, text, _ in BAD_TEXTS)
    packed = gzip.compress(b"[" * 10_000_000)
    yield base64.b64encode(packed).decode()
    yield packed.decode("latin-1")
    yield mint()
    yield json.dumps({"detail": {"traceparent": "x" * 1000}})
    for value in HOSTILE_VALUES:
        yield json.dumps(value)
        for type in TYPES:
            yield json.dumps({"schema_version": 1, "type": type, **dict.fromkeys(MEMBERS, value)})
    for type in TYPES:
        for version in (0, 2, "1", True, None):
            yield json.dumps({"schema_version": version, "type": type, "tenant_id": "demo"})
        yield json.dumps({"schema_version": 1, "type": type, "tenant_id": "demo", "__proto__": {}, "unknown": 1})


ATTRIBUTES: list[Any] = [
    {},
    {"traceparent": {"binaryValue": "AAAA", "dataType": "Binary"}},
    {"traceparent": {"stringValue": "00-" + "0" * 100_000, "dataType": "String"}},
    {"traceparent": {"stringValue": "\x00\n\u202e", "dataType": "String.x"}},
    {"original_sender": {"stringValue": "AROA:any", "dataType": "String"}, "first_sent_at": {"stringValue": "x"}},
]


@pytest.fixture(scope="module")
def running() -> Iterator[System]:
    """One system for all workers: nothing may change in it."""
    with in_process_system() as system:
        yield system


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("name", ON_QUEUES)
def test_every_message_of_the_corpus_is_returned_alone_and_stores_nothing(name: str) -> None:
    records = []
    for number, body in enumerate(corpus()):
        record = sqs_record(body, message_id=f"m{number}")
        record["messageAttributes"] = ATTRIBUTES[number % len(ATTRIBUTES)]
        records.append(record)
    assert len(records) > 300
    answer = import_module(f"functions.{name}.handler").handler({"Records": records}, LambdaContext())
    returned = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    assert [record["body"][:200] for record in records if record["messageId"] not in returned] == []
    assert [item for table in TABLES for item in stored_items(table)] == []


def test_a_hostile_message_keeps_no_good_message_of_its_batch(running: System) -> None:
    running.portfolio()
    good = payload("rebalancing_on_rebalance_requested/batch_with_poison.json")["Records"][0]
    good["messageAttributes"] = ATTRIBUTES[1]
    records = [good, *(sqs_record(body, message_id=f"m{number}") for number, body in enumerate(corpus()))]
    assert running.invoke_worker(*records) == {record["messageId"] for record in records[1:]}
