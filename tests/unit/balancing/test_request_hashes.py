"""Hashes of requested rebalances, which are stored and must not change."""

from trimtab.portfolios.balancing.operator_actions import _request_hash
from trimtab.portfolios.portfolio.policy import Mode


def test_the_hashes_of_requested_rebalances_are_pinned() -> None:
    assert _request_hash(None) == "1:44136fa355b3678a1146ad16f7e8649e"
    assert _request_hash(Mode.SELL_ONLY) == "1:415855b61c24d8eda3e50325a3400927"
