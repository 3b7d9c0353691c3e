"""Risk figures equal those of quantstats where both define a figure alike.

`make proof` installs quantstats without its drawing and download libraries, so only the module of statistics can be
imported: the fixture bypasses the package's `__init__` and replaces the downloader by an empty module.
"""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pandas
import pytest

from tests.unit.analytics.test_risk import SLICES, assert_same, closes, returns
from trimtab.analytics.domain import statistics

INSTALLED = Path(__file__).parents[3] / ".local/proof/quantstats"


@pytest.fixture(scope="module")
def oracle() -> Iterator[Any]:
    """Return the statistics module of quantstats."""
    package = ModuleType("quantstats")
    package.__path__ = [str(INSTALLED)]
    with mock.patch.dict(sys.modules, {"quantstats": package, "yfinance": ModuleType("yfinance")}):
        yield import_module("quantstats.stats")


@pytest.mark.assurance("Figures, compared with quantstats")
@pytest.mark.proof
@pytest.mark.parametrize("part", SLICES)
@pytest.mark.parametrize("yearly", [0.0, 0.03])
def test_figures_equal_quantstats(oracle: Any, part: tuple[int, int], yearly: float) -> None:
    """Calmar ratio and expected shortfall are left out: quantstats defines both differently."""
    ours = returns()[slice(*part)]
    days = pandas.DatetimeIndex(list(closes("sp500"))[1:][slice(*part)])
    theirs = pandas.Series(ours, index=days)
    assert_same(statistics.volatility(ours), oracle.volatility(theirs, prepare_returns=False))
    assert_same(statistics.sharpe(ours, yearly), oracle.sharpe(theirs, rf=yearly, periods=252))
    assert_same(statistics.sortino(ours, yearly), oracle.sortino(theirs, rf=yearly, periods=252))
    assert_same(statistics.max_depth(ours), -oracle.max_drawdown(theirs))
    assert_same(
        statistics.normal_var(ours, 0.05), -oracle.value_at_risk(theirs, confidence=0.95, prepare_returns=False)
    )


@pytest.mark.assurance("Figures, compared with quantstats")
@pytest.mark.proof
@pytest.mark.parametrize("part", SLICES)
def test_beta_equals_quantstats(oracle: Any, part: tuple[int, int]) -> None:
    ours, index = (pandas.Series(returns(name)[slice(*part)]) for name in ("nasdaq", "sp500"))
    assert_same(statistics.beta(list(ours), list(index)), oracle.greeks(ours, index, prepare_returns=False)["beta"])
