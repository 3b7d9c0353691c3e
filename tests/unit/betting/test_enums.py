"""The enums of betting are complete wherever they are dispatched or repeated: one more member fails a test here."""

from typing import Any, cast, get_args

import pytest
from msgspec.structs import replace

from functions.betting_rpc.conversion import enum_prefix
from functions.betting_rpc.generated import orders_pb as pb
from tests.unit.betting.test_betting_rules import DEAD_HEAT, open_order, settle
from trimtab.betting.domain.orders import BetStatus
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult
from trimtab.betting.domain.totals import totals_of_order
from trimtab.betting.schemas.markets import SettlementStatus
from trimtab.contracts.event_data import OrderData, PositionData

ORDERS = {
    BetStatus.OPEN: open_order(),
    BetStatus.SETTLED: settle(open_order()),
    BetStatus.CANCELLED: open_order().cancel(open_order().created_at),
}


@pytest.mark.parametrize(
    ("name", "message_enum", "enum"),
    [
        ("Side", pb.Side, BetSide),
        ("OrderStatus", pb.OrderStatus, BetStatus),
        ("Result", pb.Result, ResultKind),
        ("MarketStatus", pb.MarketStatus, SettlementStatus),
    ],
)
def test_an_enum_of_the_proto_has_the_members_of_the_domain(name: str, message_enum: Any, enum: Any) -> None:
    names = [value.name.removeprefix(enum_prefix(name)) for value in message_enum.desc().values]
    assert names == ["UNSPECIFIED", *(member.value.upper() for member in enum)]


@pytest.mark.parametrize("model", [OrderData, PositionData])
def test_the_events_know_every_side(model: Any) -> None:
    annotation = model.model_fields["side"].annotation
    values = {value for part in (annotation, *get_args(annotation)) for value in get_args(part)}
    assert {side.value for side in BetSide} <= values


@pytest.mark.parametrize("kind", ResultKind)
def test_every_result_splits_a_stake_into_parts(kind: ResultKind) -> None:
    result = DEAD_HEAT if kind is ResultKind.DEAD_HEAT else SelectionResult(kind)
    won, lost, total = result.parts
    assert 0 <= won + lost <= total


@pytest.mark.parametrize("status", BetStatus)
def test_an_order_of_every_status_counts_in_the_totals_once(status: BetStatus) -> None:
    totals = totals_of_order(ORDERS[status])
    assert totals.orders_placed == totals.orders_open + totals.orders_settled + totals.orders_cancelled == 1


def test_a_result_or_status_without_a_rule_raises() -> None:
    with pytest.raises(AssertionError):
        _ = SelectionResult(cast(ResultKind, "abandoned")).parts
    with pytest.raises(AssertionError):
        totals_of_order(replace(open_order(), status=cast(BetStatus, "EXPIRED")))
