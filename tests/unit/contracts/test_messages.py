"""Messages write and read themselves."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from trimtab.contracts.messages import (
    PUBLIC,
    CheckRequested,
    Message,
    QuoteBody,
    QuoteReceived,
    RebalanceRequested,
    SettlementRequested,
    ValuationRequested,
    read_body,
    schemas,
)

AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)

PLAIN = {"insight.received"}
"""The public messages that providers may send without an envelope."""

MESSAGES: list[Message] = [
    CheckRequested(tenant_id="demo", portfolio_id="p1", trigger="price", epoch=7),
    ValuationRequested(tenant_id="demo", portfolio_id="p1", since=date(2026, 1, 30)),
    SettlementRequested(tenant_id="demo", market_id="m1", user_id="u1", tries=2),
    RebalanceRequested(
        tenant_id="demo",
        request_id="r1",
        user_id="u1",
        new_allocation={"A": Decimal("1E+1"), "B": Decimal("90.0")},
        as_of=AT,
    ),
    QuoteReceived(quotes=[QuoteBody(symbol="A", price=Decimal("1E+2"), as_of=AT)]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_a_message_reads_what_it_wrote(message: Message) -> None:
    assert read_body(message.to_body(), type(message)) == message


def test_a_body_is_compact_and_writes_numbers_and_times_as_plain_text() -> None:
    assert MESSAGES[-1].to_body() == (
        '{"schema_version":1,"type":"quote.received","quotes":'
        '[{"symbol":"A","price":"100","as_of":"2026-01-31T09:30:00.000000Z"}]}'
    )


@pytest.mark.parametrize("name", ["schema_version", "type"])
def test_a_received_body_must_name_its_version_and_its_type(name: str) -> None:
    body = json.loads(MESSAGES[0].to_body())
    del body[name]
    with pytest.raises(ValidationError, match=f"does not name {name}"):
        read_body(json.dumps(body), CheckRequested)


@pytest.mark.parametrize(
    ("name", "value"), [("schema_version", 2), ("schema_version", "1"), ("type", "quote.received")]
)
def test_a_received_body_of_another_version_or_type_is_invalid(name: str, value: object) -> None:
    body = {**json.loads(MESSAGES[0].to_body()), name: value}
    with pytest.raises(ValidationError, match=name):
        read_body(json.dumps(body), CheckRequested)


@pytest.mark.parametrize("type", sorted(PUBLIC.keys() - PLAIN))
def test_the_schema_of_a_public_message_requires_the_envelope_and_fixes_it(type: str) -> None:
    schema = schemas()[type]
    assert schema["required"][:2] == ["schema_version", "type"]
    assert schema["properties"]["type"]["const"] == type
    assert not any("default" in schema["properties"][name] for name in ("schema_version", "type"))


def test_insights_need_no_envelope() -> None:
    (type,) = PLAIN
    required = set(schemas()[type]["required"])
    assert required == {"market_id", "selection_id", "implied_probability", "expected_value", "momentum"}


def test_a_message_belongs_to_the_group_of_its_tenant_and_quotes_to_none() -> None:
    assert MESSAGES[0].message_group == "demo"
    assert MESSAGES[-1].message_group is None
