"""The answers about markets."""

from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from trimtab.betting.domain.market_states import Market, MarketWithoutResults
from trimtab.betting.domain.markets import MarketWithResults, ReplacedResults
from trimtab.betting.domain.results import ResultKind, SelectionResult
from trimtab.betting.schemas.views import Answer
from trimtab.betting.service.settlements import MarketSettlement
from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain


class SettlementStatus(StrEnum):
    """The status of the settlement of a market."""

    SETTLING = "SETTLING"
    SETTLED = "SETTLED"


class MarketStatus(StrEnum):
    """The status of a market, from the first order to the settlement."""

    OPEN = "OPEN"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"
    SETTLING = "SETTLING"
    SETTLED = "SETTLED"


class MarketView(Model):
    """The status of a market."""

    market_id: str
    status: MarketStatus
    """`OPEN` takes orders. In `SUSPENDED` and `CLOSED` orders are neither placed nor cancelled by users; `CLOSED` waits
    for results. In `SETTLING` orders are being settled, in `SETTLED` all are. Example: `OPEN`"""
    changed_at: datetime | None
    """The time of the newest change of the status (UTC); null for a market that was never changed."""


class MarketLinks(Model):
    """Links of a market settlement."""

    self: str
    """The path of the settlement, relative to the URL of the request. Example: `../../markets/match-1/settlement`"""


class SelectionResultView(Model):
    """The result of one selection."""

    result: ResultKind
    """The result of the selection."""
    factor: str | None
    """The part of each stake that won a dead heat, as a reduced fraction; null for other results. Example: `1/2`"""
    reduction_factor: str
    """The percentage by which the winnings are reduced for a non-runner; `0` without a reduction. Example: `20`"""


class ReplacedResultsView(Model):
    """The results of a market that a correction has replaced."""

    winners: list[str]
    """The ids of the selections that had won in full."""
    voids: list[str]
    """The ids of the void selections."""
    results: dict[str, SelectionResultView]
    """The other results by id of the selection."""
    commission_rate: str
    """The commission in percent of the net winnings of a user in the market. Example: `2.5`"""
    closed_by: str
    """The subject of the token that stated the results. Example: `trading-desk`"""
    closed_at: datetime
    """The time of the request that stated the results (UTC)."""
    reason: str | None
    """The reason if the results were a correction themselves; null for the first. Example: `A wrong result.`"""


class MarketSettlementView(Model):
    """The settlement of a market."""

    market_id: str
    status: SettlementStatus
    """`SETTLING` while orders are open, then `SETTLED`."""
    winners: list[str]
    """The ids of the selections that won in full."""
    voids: list[str]
    """The ids of the void selections."""
    commission_rate: str
    """The commission in percent of the net winnings of a user in the market. Example: `2.5`"""
    orders: int
    """The number of orders in the market: exact once `SETTLED`, before eventually consistent and a lower bound above
    some 20,000. Example: `42`"""
    orders_open: int
    """The number of orders still open, eventually consistent. Example: `0`"""
    closed_by: str
    """The subject of the token that settled the market. Example: `trading-desk`"""
    closed_at: datetime
    """The time of the request that stated the results (UTC)."""
    results: dict[str, SelectionResultView]
    """The results of selections that neither won in full, nor lost, nor are void, by id: half results, dead heats, and
    wins with a reduction. All selections in none of the three have lost."""
    number: int
    """The number of the results: 1, and one more for each correction. Example: `1`"""
    reason: str | None
    """The reason of the newest correction; null without one. Example: `The winner was disqualified.`"""
    replaced: list[ReplacedResultsView]
    """The results before each correction, oldest first."""
    links: MarketLinks


def market_view(market: Market) -> Answer:
    """Return a `MarketView`."""
    if isinstance(market, MarketWithoutResults):
        status, changed_at = MarketStatus(market.state.value), market.updated_at
    elif market.settled_at is None:
        status, changed_at = MarketStatus.SETTLING, market.closed_at
    else:
        status, changed_at = MarketStatus.SETTLED, market.settled_at
    return {
        "market_id": market.market_id,
        "status": status.value,
        "changed_at": None if changed_at is None else format_time(changed_at),
    }


def market_settlement_view(settlement: MarketSettlement) -> Answer:
    """Return a `MarketSettlementView`."""
    market = settlement.market
    status = SettlementStatus.SETTLED if settlement.is_done else SettlementStatus.SETTLING
    return {
        "market_id": market.market_id,
        "status": status.value,
        **_results_view(market),
        "orders": settlement.progress.orders,
        "orders_open": settlement.progress.open,
        "number": market.number,
        "replaced": [_results_view(each) for each in market.replaced],
        "links": {"self": f"/markets/{quote(market.market_id, safe='')}/settlement"},
    }


def _results_view(stated: MarketWithResults | ReplacedResults) -> Answer:
    return {
        "winners": list(stated.winners),
        "voids": list(stated.voids),
        "results": {selection_id: _result_view(result) for selection_id, result in sorted(stated.results.items())},
        "commission_rate": plain(stated.commission_rate),
        "closed_by": stated.closed_by,
        "closed_at": format_time(stated.closed_at),
        "reason": stated.reason,
    }


def _result_view(result: SelectionResult) -> Answer:
    return {
        "result": result.kind.value,
        "factor": result.factor_text,
        "reduction_factor": plain(result.reduction_factor),
    }
