"""Small domain values that unit tests start from."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of
from trimtab.portfolios.portfolio.policy import Band, BandType, Policy
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.report_decision import DriftReport, request_rebalance

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TARGET = {"stocks": Decimal(60), "bonds": Decimal(30), "gold": Decimal(10)}
ASSETS = tuple("abcdefghijkl")
UNITS = 1_000_000


def percents(**weights: float | str) -> dict[str, Decimal]:
    """Return weights by asset."""
    return {asset: Decimal(str(weight)) for asset, weight in weights.items()}


DRIFTED = percents(stocks=70, bonds=20, gold=10)


def portfolio(**changes: Any) -> Portfolio:
    """Return an active portfolio of the tenant `demo` with the example's target."""
    first = Portfolio(
        tenant_id="demo",
        portfolio_id=portfolio_id_of("demo", "1", "default"),
        user_id="1",
        name="default",
        currency="USD",
        allocation=TARGET,
        policy=Policy(),
        cash=None,
        request_hash="1:hash",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(first, **changes)


def rebalance(**changes: Any) -> Rebalance:
    """Return a rebalance of the portfolio `p` that is being executed; `changes` give the journal."""
    first = Rebalance(
        tenant_id="demo",
        portfolio_id="p",
        rebalance_id="r",
        user_id="1",
        name="default",
        request_id="q",
        request_hash="1:0",
        weights={},
        as_of=NOW,
        created_at=NOW,
        updated_at=NOW,
        status=RebalanceStatus.EXECUTING,
    )
    return replace(first, **changes)


def report(weights: dict[str, Decimal] = DRIFTED, as_of: datetime = NOW, request_id: str = "r1") -> Rebalance:
    """Return an accepted drift report about the portfolio."""
    return request_rebalance("demo", DriftReport("1", "default", weights, as_of, request_id), as_of, NOW)


@st.composite
def allocations(draw: st.DrawFn, *, zeros: bool) -> dict[str, Decimal]:
    """Weights of four decimals that sum to 100; each above zero, unless `zeros` are allowed."""
    names = draw(st.lists(st.sampled_from(ASSETS), min_size=1, max_size=len(ASSETS), unique=True))
    low, high = (0, UNITS) if zeros else (1, UNITS - 1)
    size = len(names) - 1
    cuts = sorted(draw(st.lists(st.integers(low, high), min_size=size, max_size=size, unique=not zeros)))
    ends = zip([0, *cuts], [*cuts, UNITS], strict=True)
    return {name: Decimal(end - start).scaleb(-4) for name, (start, end) in zip(names, ends, strict=True)}


bands = st.builds(
    Band,
    st.sampled_from(BandType),
    st.integers(0, 300_000).map(lambda units: Decimal(units).scaleb(-4)),
    st.integers(0, 30_000).map(lambda units: Decimal(units).scaleb(-4)),
)
