"""Opening positions: the holdings that a portfolio is created with, recorded as transfers of units."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord
from trimtab.kernel import ids
from trimtab.kernel.errors import Unprocessable
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.new_entries import NewTrade
from trimtab.portfolios.ledger.posting import map_splits, update_holdings
from trimtab.portfolios.ledger.service import resolve_amount
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import MAX_AMOUNT, Trade, gross_amount
from trimtab.portfolios.portfolio.holdings import Side, TradeKind
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.service import Investment


def open_positions(
    ledger: LedgerStore, portfolio: Portfolio, investments: Sequence[Investment]
) -> tuple[Portfolio, list[Trade]]:
    """Return the first version of a portfolio with opening positions, and the entries that record the positions.

    The ids of the entries are derived from portfolio and symbol. Raises `Unprocessable` (`no_price`) for an
    investment without a cost whose symbol has no accepted price, and `Invalid` (`too_many_decimals`).
    """
    if not investments:
        return portfolio, []
    now, symbols = portfolio.updated_at, sorted(each.symbol for each in investments)
    quotes, assets = ledger.quotes(symbols), ledger.assets(symbols)
    unstated = [each.symbol for each in investments if each.cost is None]
    prices = HoldingsReader(ledger, lambda: now).read_prices(unstated, quotes)
    costs = {symbol: price.value for symbol, price in prices.items()}
    trades = []
    for place, each in enumerate(investments):
        new = _transfer_of(portfolio, each, place, costs.get(each.symbol), assets.get(each.symbol))
        trade = new.to_trade(portfolio, now).with_cash_effect(None, cash_is_tracked=portfolio.cash is not None)
        trades.append(trade)
    holdings = update_holdings(portfolio, trades, map_splits(quotes), now, lambda _: [])
    posted = portfolio.post(now, holdings=holdings)
    return replace(posted, version=portfolio.version, events=portfolio.events), trades


def _transfer_of(
    portfolio: Portfolio, investment: Investment, place: int, price: Decimal | None, asset: AssetRecord | None
) -> NewTrade:
    """Return the transfer of an investment at its cost, else at the price of one unit in money."""
    cost = investment.cost
    if cost is None:
        derived = None if price is None else gross_amount(investment.quantity, price)
        if derived is None or not 0 < derived <= MAX_AMOUNT:
            mistake = {"field": f"investments.{place}.cost", "detail": "The newest price gives no cost. Send the cost."}
            raise Unprocessable(
                "no_price", f"No price of {investment.symbol} gives a cost. Send the cost.", errors=[mistake]
            )
        cost = derived
    new = NewTrade(
        ref_id=ids.derive_id("opening", portfolio.portfolio_id, investment.symbol),
        side=Side.BUY,
        security_type=investment.security_type,
        symbol=investment.symbol,
        quantity=investment.quantity,
        amount=cost,
        kind=TradeKind.TRANSFER_IN,
    )
    return resolve_amount(new, asset)
