"""Plans of varied portfolios are as recorded: no change of the planner changes a plan unseen.

`python -m tests.unit.balancing.test_recorded_plans` records the plans of the present planner. A reviewer then judges
each changed line of the recording.
"""

import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tests.unit.balancing.plan_cases import Case, check
from trimtab.kernel.money import HUNDRED, apportion, plain
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination, Mode, Policy, Restriction
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission
from trimtab.portfolios.rebalancing.valuation import value

RECORDING = Path(__file__).parents[2] / "golden/balancing/plans.jsonl"
PORTFOLIOS = 400
CENT, SMALLEST = Decimal("0.01"), Decimal("1e-9")
BANDS = [
    None,
    Band(BandType.ABSOLUTE, Decimal(1)),
    Band(BandType.ABSOLUTE, Decimal(5)),
    Band(BandType.RELATIVE, Decimal(10)),
    Band(BandType.HYBRID, Decimal(20), Decimal(1)),
]
COMMISSIONS = [NO_COMMISSION, NO_COMMISSION, Commission(Decimal(1)), Commission(Decimal("0.35"), Decimal("0.25"))]

T = TypeVar("T")


class Chance:
    """Repeatable choices: only `random()` draws the same numbers in every version of Python."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the choices must be repeatable

    def choose(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self._random.random() * len(options))]

    def whole(self, least: int, most: int) -> Decimal:
        """Return a whole number in the range."""
        return Decimal(least + int(self._random.random() * (most - least + 1)))


def recorded_case(seed: int) -> Case:
    """Return a portfolio of 2 to 6 assets around its target, worth 200 to 100,000, and any policy."""
    chance = Chance(seed)
    names = "abcdef"[: int(chance.whole(2, 6))]
    total = Decimal(chance.choose([200, 1_000, 10_000, 100_000]))
    target = apportion(HUNDRED, {name: chance.whole(1, 20) for name in names}, chance.choose([0, 2, 4]))
    prices = {name: chance.whole(100, 30_000) * CENT for name in names}
    whole_shares = chance.choose([False, False, True])
    held = {name: total * target[name] * chance.whole(50, 160) / 10_000 / prices[name] for name in names}
    held = {name: each.quantize(Decimal(1) if whole_shares else SMALLEST) for name, each in held.items()}
    held |= {"x": chance.whole(0, 3)} if chance.choose([True, False]) else {}
    cash = (total * chance.choose([Decimal(0), Decimal("0.004"), Decimal("0.03"), Decimal("0.2")])).quantize(CENT)
    policy = Policy(
        band=chance.choose(BANDS),
        destination=chance.choose([Destination.TARGET, Destination.BAND_EDGE]),
        total_drift=chance.choose([None, None, Decimal(3), Decimal(10)]),
        minimum_trade=chance.choose([Decimal(0), Decimal(1), Decimal("12.34"), total / 20]),
        whole_shares=whole_shares,
        cash_target=chance.choose([Decimal(0), Decimal(0), Decimal("2.5"), Decimal(30)]),
        cash_buffer=chance.choose([Decimal(0), Decimal("0.25"), Decimal(3)]),
        max_slippage=chance.choose([Decimal(0), Decimal("0.5"), Decimal(10)]),
        restrictions=chance.choose([{}, {}, {}, {"a": chance.choose(list(Restriction))}]),
    )
    mode = chance.choose([*Mode, Mode.FULL, Mode.FULL])
    case = Case(held, prices | {"x": Decimal("33.33")}, cash, target, policy, mode, chance.choose(COMMISSIONS))
    return case.in_currency(chance.choose(["USD", "USD", "USD", "JPY", "KWD"]))


def plan_of(case: Case) -> OrderPlan:
    """Return the plan; where no limit moves the targets, its invariants are verified, too."""
    return case.planned() if case.policy.restrictions or case.currency != "USD" else check(case)


def line_of(seed: int, plan: OrderPlan) -> str:
    """Return a plan as a line of the recording: orders as `SELL a 1.5 @ 99.5`, changes of weights by asset."""
    shown: dict[str, Any] = {
        "seed": seed,
        "orders": [
            f"{each.side} {each.symbol} {plain(each.quantity)} @ {plain(each.limit_price)}" for each in plan.orders
        ],
        "skipped": [f"{each.side} {each.symbol} {each.notional} {each.reason}" for each in plan.skipped],
        "changes": {leg.asset: plain(leg.change) for leg in plan.legs if leg.change},
        "drift": [plan.drift_before, plan.drift_after],
        "within_band_after": plan.within_band_after,
        "fees": plan.fees,
        "outside": plan.outside,
        "cured": plan.cured,
        "cures_drift": plan.cures_drift,
    }
    return msgspec.json.encode(shown).decode()


def lines() -> list[str]:
    """Return the plans of the portfolios that have a value."""
    cases = ((seed, recorded_case(seed)) for seed in range(PORTFOLIOS))
    return [line_of(seed, plan_of(case)) for seed, case in cases if value(case.held, case.prices, case.cash).total]


def test_every_plan_is_as_recorded() -> None:
    assert lines() == RECORDING.read_text().splitlines()


if __name__ == "__main__":
    RECORDING.write_text("\n".join([*lines(), ""]))
