"""Cash-outs: the hedge to the cent, and the odds ladders of venues."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.betting.domain.odds import MAX_ODDS, OddsLadder
from trimtab.betting.domain.results import BetSide, compute_winnings
from trimtab.betting.domain.totals import Hedge, SelectionExposure
from trimtab.kernel.errors import Invalid

D = Decimal
TWO, THREE, BETFAIR = OddsLadder.TWO_DECIMALS, OddsLadder.THREE_DECIMALS, OddsLadder.BETFAIR
CENT = D("0.01")

money = st.decimals(min_value=D("0.00"), max_value=D("100000"), places=2)
odds = st.decimals(min_value=D("1.001"), max_value=D("1000"), places=3)
exposures = st.builds(SelectionExposure, money, money, money, money)


def backed(*orders: tuple[str, str]) -> SelectionExposure:
    """Return the exposure of BACK orders of these stakes and odds."""
    exposure = SelectionExposure()
    for stake, at in orders:
        exposure = exposure.plus(SelectionExposure(back_stake=D(stake), back_profit=compute_winnings(D(stake), D(at))))
    return exposure


def test_the_cash_out_of_a_back_is_back_odds_times_stake_by_lay_odds() -> None:
    exposure = backed(("10.00", "3.50"))  # 3.50 * 10 / 2.80 = 12.50
    assert exposure.compute_hedge(D("2.80")) == Hedge(BetSide.LAY, D("2.80"), D("12.50"), D("2.50"), D("2.50"))
    assert exposure.own_odds == D("3.5")
    assert SelectionExposure().compute_hedge(D(2)) is None
    assert SelectionExposure().own_odds is None


def test_two_backs_at_neighbouring_odds_are_equalised_at_each_ladder() -> None:
    """300,000 at 3.00 and at 3.01 earn 1,203,000 or lose 600,000; the average odds are 3.005."""
    exposure = backed(("300000.00", "3.00"), ("300000.00", "3.01"))
    average = exposure.own_odds
    assert average == D("3.005")
    # Not LAY 600,000 at 3.01, the stake at the average odds: 1,203,000 - 1,206,000 = -3,000, and 600,000 - 600,000 = 0.
    # LAY 599,003.32 at 3.01: 1,203,000 - 1,203,996.67, and 599,003.32 - 600,000.
    assert exposure.compute_hedge(TWO.nearest(average)) == Hedge(
        BetSide.LAY, D("3.01"), D("599003.32"), D("-996.67"), D("-996.68")
    )
    assert exposure.compute_hedge(THREE.nearest(average)) == Hedge(BetSide.LAY, average, D(600000), D(0), D(0))
    # LAY 601,000 at 3.00: 1,203,000 - 1,202,000, and 601,000 - 600,000.
    assert exposure.compute_hedge(BETFAIR.nearest(average)) == Hedge(BetSide.LAY, D(3), D(601000), D(1000), D(1000))


@given(exposures, odds)
def test_no_other_stake_in_cents_equalises_better(exposure: SelectionExposure, at: Decimal) -> None:
    hedge = exposure.compute_hedge(at)
    if hedge is None:
        return
    difference = exposure.if_win - exposure.if_lose

    def distance(stake: Decimal) -> Decimal:
        return abs(abs(difference) - stake - compute_winnings(stake, at))

    assert distance(hedge.stake) == abs(hedge.if_win - hedge.if_lose)
    near = [hedge.stake + step * CENT for step in (-3, -2, -1, 1, 2, 3)]
    assert distance(hedge.stake) <= min(distance(stake) for stake in near if stake >= 0)
    assert distance(hedge.stake) <= at * CENT  # a cent of stake moves the distance by the odds


@given(exposures, odds)
def test_a_hedge_is_suggested_unless_less_than_a_cent_would_hedge(exposure: SelectionExposure, at: Decimal) -> None:
    if exposure.compute_hedge(at) is None:
        smallest_lay = CENT / (2 * (at - 1))  # a LAY of less exposes nothing
        assert abs(exposure.if_win - exposure.if_lose) <= (max(smallest_lay, CENT) + CENT) * at


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("1.003", "1.01"),
        ("1.994", "1.99"),
        ("1.995", "2.00"),
        ("2.01", "2.02"),
        ("3.02", "3.00"),
        ("3.03", "3.05"),
        ("5.94", "5.90"),
        ("5.96", "6.00"),
        ("9.9", "10.00"),
        ("19.7", "19.50"),
        ("29.4", "29.00"),
        ("31", "32.00"),
        ("97", "95.00"),
        ("99", "100.00"),
        ("994", "990.00"),
        ("999", "1000.00"),
    ],
)
def test_the_increments_of_betfair_hold(asked: str, nearest: str) -> None:
    assert str(BETFAIR.nearest(D(asked))) == nearest
    BETFAIR.require(D(nearest))
    with pytest.raises(Invalid, match=f"the nearest odds are {nearest}"):
        BETFAIR.require(D(asked))


def test_the_ladder_of_betfair_has_350_odds() -> None:
    every = {BETFAIR.nearest(D(number) / 100) for number in range(101, MAX_ODDS * 100 + 1)}
    assert len(every) == 350


@given(st.sampled_from(OddsLadder), odds)
def test_the_nearest_odds_are_on_the_ladder(ladder: OddsLadder, at: Decimal) -> None:
    nearest = ladder.nearest(at)
    assert ladder.nearest(nearest) == nearest
    assert 1 < nearest <= MAX_ODDS
