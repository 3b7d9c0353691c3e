"""Plans in whole shares, compared with an exhaustive search on small portfolios, cash targets included."""

import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.balancing.plan_cases import FREE, Case, Numbers, check
from tests.unit.samples import percents
from trimtab.portfolios.rebalancing.drift import CASH, target_weights
from trimtab.portfolios.rebalancing.valuation import value

PORTFOLIOS = 300
WEIGHTS: dict[int, list[tuple[int, ...]]] = {
    2: [(60, 40), (50, 50), (75, 25)],
    3: [(50, 30, 20), (34, 33, 33), (60, 25, 15)],
}


def small_portfolio(seed: int) -> Case:
    """Return a portfolio of 2 or 3 assets with at most 6 shares each, and a cash target of 0 to 30 %."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice
    names = "abc"[: chance.choice([2, 3, 3])]
    return Case(
        held={name: Decimal(chance.randint(0, 6)) for name in names},
        prices={name: Decimal(chance.randint(10, 60)) for name in names},
        cash=Decimal(chance.randint(1, 120)),
        allocation=percents(**dict(zip(names, chance.choice(WEIGHTS[len(names)]), strict=True))),
        policy=replace(FREE, whole_shares=True, cash_target=Decimal(chance.choice([0, 5, 10, 20, 30]))),
    )


def total_of(case: Case) -> Decimal:
    return value(case.held, case.prices, case.cash).total


def distance(case: Case, held: Numbers, cash: Decimal) -> Decimal:
    """Return the drift from target of these holdings and this cash, in money."""
    total, target = total_of(case), target_weights(case.allocation, case.policy)
    worth = {symbol: held.get(symbol, Decimal(0)) * price for symbol, price in case.prices.items()} | {CASH: cash}
    return sum((abs(worth[asset] - target[asset] * total / 100) for asset in worth), Decimal(0)) / 2


def whole_outcomes(case: Case) -> Iterator[Decimal]:
    """Yield the drift, in money, of every affordable combination of whole shares."""
    total, symbols = total_of(case), sorted(case.prices)
    for counts in product(*(range(int(total / case.prices[symbol]) + 1) for symbol in symbols)):
        held = {symbol: Decimal(count) for symbol, count in zip(symbols, counts, strict=True)}
        cash = total - sum((count * case.prices[symbol] for symbol, count in held.items()), Decimal(0))
        if cash >= 0:
            yield distance(case, held, cash)


def gap_to_optimum(case: Case) -> Decimal:
    """Return the money by which the plan ends further from the target than the best combination of whole shares."""
    return distance(case, *case.after(check(case).orders)) - min(whole_outcomes(case))


def closer_by_one_share(case: Case) -> Iterator[str]:
    """Yield the symbols that one share more or less than planned would bring closer, and the portfolio too."""
    held, cash = case.after(check(case).orders)
    total, target = total_of(case), target_weights(case.allocation, case.policy)
    planned = distance(case, held, cash)
    for (symbol, price), more in product(case.prices.items(), (Decimal(1), Decimal(-1))):
        other = held | {symbol: held[symbol] + more}
        if other[symbol] < 0 or cash < more * price or distance(case, other, cash - more * price) >= planned:
            continue
        wanted = target[symbol] * total / 100 / price
        if abs(other[symbol] - wanted) < abs(held[symbol] - wanted):
            yield symbol


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(10, 40)), min_size=1, max_size=3),
    st.integers(0, 60),
)
def test_whole_shares_end_within_one_share_of_the_optimum(pairs: list[tuple[int, int]], cash: int) -> None:
    names = "abc"[: len(pairs)]
    weights = dict(zip(names, [[100], [60, 40], [50, 30, 20]][len(names) - 1], strict=True))
    held = {name: Decimal(count) for name, (count, _) in zip(names, pairs, strict=True)}
    prices = {name: Decimal(price) for name, (_, price) in zip(names, pairs, strict=True)}
    case = Case(held, prices, Decimal(cash), percents(**weights), replace(FREE, whole_shares=True))
    if total_of(case):
        assert gap_to_optimum(case) <= max(prices.values()) + Decimal("0.01")


def test_two_of_three_plans_are_the_best_possible_and_the_others_lack_less_than_a_share() -> None:
    gaps = {seed: gap_to_optimum(small_portfolio(seed)) for seed in range(PORTFOLIOS)}
    assert all(0 <= gap < max(small_portfolio(seed).prices.values()) for seed, gap in gaps.items())
    assert sum(gap == 0 for gap in gaps.values()) >= PORTFOLIOS * 2 / 3
    assert sum(gaps.values()) / PORTFOLIOS < Decimal("3.5")  # shares cost 35 on average


def test_no_share_more_or_less_ends_closer() -> None:
    """A share ends closer if its own asset does, and the portfolio with its cash too."""
    closer = {seed: list(closer_by_one_share(small_portfolio(seed))) for seed in range(PORTFOLIOS)}
    assert not any(closer.values()), {seed: symbols for seed, symbols in closer.items() if symbols}
