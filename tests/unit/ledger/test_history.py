"""Trades of the ledger as other contexts read them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from trimtab.analytics.domain.series import compute_daily_values
from trimtab.portfolios.ledger.history import to_ledger_trade
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash_rule import CashRule
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus

MONDAY = datetime(2026, 3, 2, 15, tzinfo=UTC)
BUY = Trade(
    tenant_id="t",
    portfolio_id="p",
    user_id="u",
    ref_id="r",
    side=Side.BUY,
    security_type=SecurityType.STOCK,
    symbol="ACME",
    quantity=Decimal(2),
    amount=Decimal(20),
    fees=Decimal(1),
    status=TradeStatus.SUCCESS,
    executed_at=MONDAY,
    request_hash="",
    created_at=MONDAY,
    updated_at=MONDAY,
)


@pytest.mark.parametrize(("side", "quantity", "proceeds"), [(Side.BUY, 2, -21), (Side.SELL, -2, 19)])
def test_the_side_of_a_trade_is_the_sign_of_quantity_and_proceeds(side: Side, quantity: int, proceeds: int) -> None:
    trade = to_ledger_trade(replace(BUY, side=side), CashRule())
    assert (trade.quantity, trade.amount, trade.proceeds) == (Decimal(quantity), Decimal(20), Decimal(proceeds))


def test_a_trade_of_the_ledger_is_valued_with_its_fees() -> None:
    (found,) = compute_daily_values([to_ledger_trade(BUY, CashRule())], [], {}, {}, [date(2026, 3, 2)])
    assert (found.value, found.flow) == (Decimal(20), Decimal(21))
