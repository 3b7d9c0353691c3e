"""Golden items of execution: the items of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.contracts.stored_form import FORM, UnknownForm, pack, unpack
from trimtab.portfolios.execution.broker import BrokerOrder
from trimtab.portfolios.execution.control_records import AccountClaim, TenantNotional
from trimtab.portfolios.execution.halt_controls import HaltControl, Incidents
from trimtab.portfolios.execution.halts import Halt, halt_key
from trimtab.portfolios.execution.paper import PaperOrder
from trimtab.portfolios.execution.paper_scenario import ScenarioRule, unpack_rule
from trimtab.portfolios.portfolio.holdings import Side

GOLDEN = Path(__file__).parents[2] / "golden/execution"
TIME = datetime(2026, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)
OPEN = PaperOrder(
    account="11111111-2222-5333-8444-555555555555",
    order=BrokerOrder(
        "66666666-7777-5888-8999-000000000000", "AAPL", Side.BUY, Decimal("12.5"), limit_price=Decimal("101.25")
    ),
    rule=ScenarioRule(
        latency_seconds=Decimal("1.5"), fill_percent=Decimal(50), fee=Decimal("0.35"), time_out="after", times=2
    ),
    created_at=TIME,
    updated_at=TIME,
    due_at=TIME + timedelta(seconds=1.5),
)
FILLED_IN_PART = replace(OPEN.execute(Decimal("100.1")), updated_at=TIME + timedelta(seconds=2), version=2)
IN_YEN = replace(OPEN, order=replace(OPEN.order, currency="JPY")).execute(Decimal("100.1"))
HALT = Halt("demo", "The feed looks wrong.", "ann", TIME)
ORDERS = {"paper_order_open": OPEN, "paper_order_ended": FILLED_IN_PART, "paper_order_yen": IN_YEN}
NOTIONAL = TenantNotional("demo", TIME.date(), Decimal("1234.50"), version=3)
CLAIM = AccountClaim("paper-api.alpaca.markets/keys", "demo", OPEN.account, version=2)
HALTS = {"halt_of_tenant": HALT, "halt_of_all_tenants": replace(HALT, tenant_id=None)}


def stored(kind: str) -> dict[str, Any]:
    """Return the golden item of a kind."""
    item: dict[str, Any] = json.loads((GOLDEN / f"{kind}.v1.json").read_text())
    return item


@pytest.mark.parametrize("kind", ORDERS)
def test_the_golden_order_is_read_and_written_unchanged(kind: str) -> None:
    written = {name: value for name, value in ORDERS[kind].to_item().items() if value is not None}
    assert (PaperOrder.from_item(stored(kind)), written) == (ORDERS[kind], stored(kind))


@pytest.mark.parametrize("kind", HALTS)
def test_the_golden_halt_is_read_and_written_unchanged(kind: str) -> None:
    halt = HALTS[kind]
    written = {**halt_key(halt.tenant_id), **halt.to_attributes(), FORM: 1, "version": 1}
    assert (Halt.from_item(stored(kind)), written) == (halt, stored(kind))


def test_a_golden_switch_that_is_off_has_no_halt() -> None:
    assert Halt.from_item(stored("halt_switched_off")) is None


def test_the_golden_automatic_halt_is_read_with_its_control_and_incidents() -> None:
    item = stored("halt_automatic")
    reason = "2 rebalances were rolled back within 3600 seconds (control rollbacks)"
    assert Halt.from_item(item) == Halt("demo", reason, "automatic", TIME, HaltControl.ROLLBACKS)
    incidents = unpack(item["incidents"], Incidents)
    assert incidents == Incidents({HaltControl.ROLLBACKS: {"r-1": TIME, "r-2": TIME}}, TIME)
    assert pack(incidents) == item["incidents"]


@pytest.mark.parametrize("kind", [*ORDERS, *HALTS])
def test_unknown_attributes_of_a_newer_release_are_ignored_and_unknown_forms_refused(kind: str) -> None:
    reader = PaperOrder if kind in ORDERS else Halt
    assert reader.from_item(stored(kind) | {"venue": "XNAS"}) == (ORDERS | HALTS)[kind]
    with pytest.raises(UnknownForm):
        reader.from_item(stored(kind) | {FORM: 2})


def test_an_older_rule_gets_the_defaults_of_later_members_and_unknown_members_are_ignored() -> None:
    assert unpack_rule('{"fee": "1"}') == ScenarioRule(fee=Decimal(1))
    assert unpack_rule('{"fee": "1", "venue": "XNAS"}') == ScenarioRule(fee=Decimal(1))


def test_the_golden_notional_of_a_tenant_is_read_and_written_unchanged() -> None:
    golden = stored("tenant_notional")
    written = {name: value for name, value in NOTIONAL.to_item().items() if value is not None}
    assert (TenantNotional.from_item("demo", TIME.date(), golden), written) == (NOTIONAL, golden)
    with pytest.raises(UnknownForm):
        TenantNotional.from_item("demo", TIME.date(), golden | {FORM: 2})


def test_the_golden_claim_of_an_account_is_read_and_written_unchanged() -> None:
    golden = stored("account_claim")
    written = {name: value for name, value in CLAIM.to_item().items() if value is not None}
    assert (AccountClaim.from_item(golden), written) == (CLAIM, golden)
    with pytest.raises(UnknownForm):
        AccountClaim.from_item(golden | {FORM: 2})
