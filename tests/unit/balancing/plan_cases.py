"""Cases for the order planner, and the invariants of every plan."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.currencies import USD, round_money, smallest_amount
from trimtab.portfolios.balancing import order_planner
from trimtab.portfolios.balancing.order_planner import OrderPlan, plan_orders
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Band, BandType, Mode, Policy
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH, target_weights
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission, PlannedOrder
from trimtab.portfolios.rebalancing.valuation import EXACT, value

Numbers = dict[str, Decimal]
GRAIN = Decimal("1E-9")
FREE = Policy(minimum_trade=Decimal(0), cash_buffer=Decimal(0), max_slippage=Decimal(0))
FIVE_POINTS = Band(BandType.ABSOLUTE, Decimal(5))


class Case(Struct, frozen=True):
    """A portfolio, its prices, its target and its policy."""

    held: Numbers
    prices: Numbers
    cash: Decimal
    allocation: Numbers
    policy: Policy
    mode: Mode = Mode.FULL
    commission: Commission = NO_COMMISSION
    currency: str = USD

    def planned(self) -> OrderPlan:
        valuation = value(self.held, self.prices, self.cash, self.currency)
        return plan_orders(valuation, self.allocation, self.policy, self.mode, commission=self.commission)

    def after(self, orders: tuple[PlannedOrder, ...]) -> tuple[Numbers, Decimal]:
        """Return holdings and cash after these orders fill at the planning price."""
        held, cash = dict(self.held), self.cash
        with localcontext(EXACT):
            for order in orders:
                sign = 1 if order.side is Side.BUY else -1
                held[order.symbol] = held.get(order.symbol, Decimal(0)) + sign * order.quantity
                amount = order.quantity * order.price
                cash -= sign * amount + self.commission_of(amount)
        return held, cash

    def commission_of(self, amount: Decimal) -> Decimal:
        return self.commission.of(amount, self.currency)

    def in_currency(self, currency: str) -> "Case":
        """Return the case with each amount of money as many smallest units of another currency, so as many yen."""
        factor = smallest_amount(currency) / smallest_amount(self.currency)
        return replace(
            self,
            prices={symbol: price * factor for symbol, price in self.prices.items()},
            cash=self.cash * factor,
            policy=replace(self.policy, minimum_trade=self.policy.minimum_trade * factor),
            commission=Commission(self.commission.per_order * factor, self.commission.percent),
            currency=currency,
        )

    def legs(self, held: Numbers, cash: Decimal) -> tuple[drift.Leg, ...]:
        return drift.compare_weights(
            value(held, self.prices, cash).weights, target_weights(self.allocation, self.policy)
        )


def decimals(least: int, most: int, places: int) -> st.SearchStrategy[Decimal]:
    """Return numbers with this number of decimal places."""
    return st.integers(least, most).map(lambda units: Decimal(units).scaleb(-places))


def check(case: Case) -> OrderPlan:
    """Verify the invariants of every plan and return the plan."""
    found, total = case.planned(), value(case.held, case.prices, case.cash).total
    held, cash = case.after(found.orders)
    check_orders(case, found)
    assert all(quantity >= 0 for quantity in held.values()), "sold more than was held"
    buffer = total * case.policy.cash_buffer / 100
    assert cash >= min(case.cash, buffer)
    assert cash_at_limits(case, found) >= min(case.cash, round_money(buffer, case.currency, ROUND_FLOOR))
    with localcontext(EXACT):
        assert value(held, case.prices, cash).total + found.fees == total, "value was made or lost"
    check_report(case, found)
    return found


def cash_at_limits(case: Case, found: OrderPlan) -> Decimal:
    """Return the cash if every order fills at its limit price, each amount rounded to money in the worst way."""
    amounts = [(order.side, order.quantity * order.limit_price) for order in found.orders]
    currency = case.currency
    return (
        case.cash
        + sum(
            round_money(amount, currency, ROUND_FLOOR)
            if side is Side.SELL
            else -round_money(amount, currency, ROUND_CEILING)
            for side, amount in amounts
        )
        - sum(case.commission_of(amount) for _, amount in amounts)
    )


def check_orders(case: Case, found: OrderPlan) -> None:
    policy = case.policy
    assert len({order.symbol for order in found.orders}) == len(found.orders)
    assert list(found.orders) == sorted(
        found.orders, key=lambda order: (order.side is Side.BUY, -order.notional, order.symbol)
    )
    slip = policy.max_slippage / 100
    for order in found.orders:
        assert order.quantity > 0
        assert order.notional >= max(policy.minimum_trade, smallest_amount(case.currency))
        assert order.quantity == order.quantity.quantize(Decimal(1) if policy.whole_shares else GRAIN)
        assert order.limit_price == order.limit_price.quantize(GRAIN)
        assert order.limit_price > 0
        if order.side is Side.BUY:
            assert order.price <= order.limit_price <= order.price * (1 + slip)
        else:
            assert order.price * (1 - slip) <= order.limit_price <= order.price
        assert (order.side, case.mode) not in {(Side.SELL, Mode.INVEST_CASH), (Side.BUY, Mode.SELL_ONLY)}


def check_report(case: Case, found: OrderPlan) -> None:
    """Verify the drift, the legs and the skipped legs of a plan."""
    before, after = case.legs(case.held, case.cash), case.legs(*case.after(found.orders))
    total = value(case.held, case.prices, case.cash).total
    rounding = Decimal(len(after)) * Decimal("0.0001") + found.fees / total * 100
    assert found.drift_before == drift.measure_drift(before)
    assert found.drift_after <= found.drift_before
    assert 0 <= drift.measure_drift(after) - found.drift_after <= rounding
    assert found.within_band_after is (not order_planner.outside(after, case.policy))
    assert sum(leg.weight for leg in found.legs) == sum(leg.target for leg in found.legs) == 100
    assert sum(leg.change for leg in found.legs) == 0
    assert CASH in {leg.asset for leg in found.legs}
    sides = {order.symbol: order.side for order in found.orders}
    ends = {leg.asset: leg.weight for leg in after}
    for leg in found.legs:
        assert leg.change * (1 if sides.get(leg.asset) is Side.BUY else -1) >= 0 or leg.asset == CASH
        assert abs(leg.weight + leg.change - ends.get(leg.asset, Decimal(0))) <= rounding
    for skipped in found.skipped:
        assert skipped.reason in {"mode", "minimum_trade", "whole_shares", "no_cash", "no_use", "restricted"}
        assert skipped.reason in {"no_cash", "no_use"} or skipped.symbol not in sides
