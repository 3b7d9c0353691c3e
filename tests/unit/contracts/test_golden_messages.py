"""Golden messages: the messages of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from trimtab.contracts import messages
from trimtab.contracts.events import Event, pack_events, unpack_events
from trimtab.contracts.messages import Message, TenantMessage, read_body

GOLDEN = Path(__file__).parents[2] / "golden/contracts"
TIME = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
PORTFOLIO = "11111111-2222-5333-8444-555555555555"
REBALANCE = "aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeeee"
MESSAGES: list[Message] = [
    messages.RebalanceRequested(
        tenant_id="demo",
        request_id="report-1",
        user_id="1",
        name="default",
        new_allocation={"stocks": Decimal("65.5"), "bonds": Decimal(25), "gold": Decimal("9.5")},
        as_of=TIME,
    ),
    messages.RecalculationRequested(tenant_id="demo", portfolio_id=PORTFOLIO, job_id="job-1"),
    messages.QuoteReceived(
        quotes=[
            messages.QuoteBody(symbol="AAPL", price=Decimal("201.25"), as_of=TIME, source="feed"),
            messages.QuoteBody(symbol="MSFT", price=Decimal(400), as_of=TIME),
        ]
    ),
    messages.CheckRequested(tenant_id="demo", portfolio_id=PORTFOLIO, trigger="price", epoch=7),
    messages.ExecutionRequested(tenant_id="demo", portfolio_id=PORTFOLIO, rebalance_id=REBALANCE),
    messages.InsightReceived(
        tenant_id="demo",
        market_id="m1",
        selection_id="s1",
        implied_probability=Decimal("0.45"),
        expected_value=Decimal("-0.02"),
        momentum=Decimal("0.1"),
        as_of=TIME,
    ),
    messages.SettlementRequested(tenant_id="demo", market_id="m1", user_id="1", tries=2),
    messages.ValuationRequested(tenant_id="demo", portfolio_id=PORTFOLIO, since=date(2026, 1, 30)),
    messages.ReportRequested(tenant_id="demo", portfolio_id=PORTFOLIO, month="2026-01"),
    messages.DeliveryRequested(tenant_id="demo", webhook_id="w1", sequence=42, attempt=2),
    messages.PushRequested(tenant_id="demo", sequences=[41, 42]),
]


def stored(type: str) -> str:
    """Return the golden text of a message type."""
    return json.dumps(json.loads((GOLDEN / f"{type}.v1.json").read_text()), separators=(",", ":"))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_the_golden_message_is_read_and_written_unchanged(message: Message) -> None:
    assert read_body(stored(message.type), type(message)) == message
    assert message.to_body() == stored(message.type)


def test_every_message_has_a_golden_text() -> None:
    models = {*Message.__subclasses__(), *TenantMessage.__subclasses__()} - {TenantMessage}
    project = {model for model in models if model.__module__.startswith("trimtab.")}
    assert project == {type(message) for message in MESSAGES}


def test_the_golden_packed_events_are_read_and_written_unchanged() -> None:
    events = (Event("trade.recorded", {"ref_id": "t1", "amount": "12.5"}), Event("cash.recorded", {"ref_id": "c1"}))
    assert unpack_events(stored("packed_events")) == events
    assert pack_events(events) == stored("packed_events")
