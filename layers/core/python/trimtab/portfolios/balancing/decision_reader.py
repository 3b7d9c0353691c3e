"""Decisions at the present quotes: reads the inputs of a decision, and decides."""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.clock import Clock
from trimtab.portfolios.balancing import check_decision, withdrawal_decision
from trimtab.portfolios.balancing.check_decision import CheckResult
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs, symbols_of
from trimtab.portfolios.balancing.dry_run import DryRun, describe_dry_run
from trimtab.portfolios.execution.broker import BrokerTerms
from trimtab.portfolios.execution.control_records import AccountClaim
from trimtab.portfolios.execution.control_store import ControlStore
from trimtab.portfolios.execution.halts import HaltStore
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, Trigger


class DecisionReader(Struct, frozen=True):
    """Reads quotes, holdings and halts of a portfolio, and decides. Nothing is written."""

    holdings: HoldingsReader
    halts: HaltStore
    terms: BrokerTerms
    clock: Clock
    controls: ControlStore

    def decide(
        self, portfolio: Portfolio, trigger: Trigger | None, mode: Mode | None = None
    ) -> tuple[DecisionInputs, CheckResult]:
        """Return the decision at the present quotes, and its inputs; the mode of the policy is the default.

        Assets and controls are read only where something would be traded; the decision is then made again with them.
        """
        inputs = self._read(portfolio, trigger, mode)
        decided = check_decision.decide(inputs)
        if decided[1].plan is None:
            return decided
        return check_decision.decide(self._with_controls(inputs))

    def decide_withdrawal(self, portfolio: Portfolio, amount: Decimal) -> tuple[DecisionInputs, CheckResult]:
        """Return the decision on a withdrawal at the present quotes, and its inputs."""
        inputs = self._with_controls(self._read(portfolio, Trigger.WITHDRAWAL, Mode.SELL_ONLY))
        return inputs, withdrawal_decision.decide_withdrawal(inputs, amount)

    def dry_run(self, portfolio: Portfolio, mode: Mode | None) -> DryRun:
        """Return the rebalance that a person's request would execute now."""
        inputs, result = self.decide(portfolio, Trigger.MANUAL, mode)
        return describe_dry_run(inputs, result, self.holdings.apply_splits(portfolio, inputs.quotes))

    def _with_controls(self, inputs: DecisionInputs) -> DecisionInputs:
        """Return the inputs with the assets, the totals of the tenant, and the owner of a shared account."""
        portfolio, account = inputs.portfolio, self.terms.shared_account
        owner, claim = self._account_owner(portfolio, account) if account else (None, None)
        known = replace(
            inputs,
            assets=self.holdings.ledger.assets(symbols_of(portfolio)),
            tenant_notional=self.controls.tenant_notional(portfolio.tenant_id, inputs.now),
            account_owner=owner,
            claim=claim,
        )
        return replace(known, last_prices=self._read_last_prices(known)) if self.terms.trades_by_session else known

    def _account_owner(self, portfolio: Portfolio, account: str) -> tuple[str | None, AccountClaim | None]:
        """Return the other portfolio that trades through the account, or the claim to be stored by this portfolio.

        A closed portfolio trades no more, so its claim passes to the next portfolio.
        """
        held = self.controls.claim(account)
        if held is not None and held.portfolio_id == portfolio.portfolio_id:
            return None, None
        owner = self.holdings.ledger.portfolio(held.tenant_id, held.portfolio_id) if held else None
        if owner is not None and owner.status is not PortfolioStatus.CLOSED:
            return owner.portfolio_id, None
        version = (held.version if held else 0) + 1
        return None, AccountClaim(account, portfolio.tenant_id, portfolio.portfolio_id, version=version)

    def _read(self, portfolio: Portfolio, trigger: Trigger | None, mode: Mode | None) -> DecisionInputs:
        now = self.clock()  # before the quotes are read: a quote stored later is newer than the decision
        quotes = self.holdings.ledger.quotes(symbols_of(portfolio))
        held = self.holdings.apply_splits(portfolio, quotes)
        was_refused = portfolio.watch_state.cause is EvaluationCause.REFUSED
        if trigger is None and not was_refused and portfolio.watch_state.is_followed_by(quotes.values()):
            trigger = Trigger.PRICE
        may_trade = trigger is not None or portfolio.watch_state.is_deposit_due
        inputs = DecisionInputs(
            portfolio=portfolio,
            quantities={symbol: holding.quantity for symbol, holding in held.items()},
            quotes=quotes,
            now=now,
            trigger=trigger,
            mode=mode or portfolio.policy.mode,
            terms=self.terms,
            controls=self.controls.controls,
            halt_reason=self.halts.reason(portfolio.tenant_id) if may_trade else None,
            was_refused=was_refused,
            oversold=tuple(symbol for symbol, holding in sorted(held.items()) if holding.oversold),
        )
        return replace(inputs, last_prices=self._read_last_prices(inputs))

    def _read_last_prices(self, inputs: DecisionInputs) -> dict[str, Decimal]:
        """Return the last prices of held symbols without a usable quote; none where no quote at all is usable."""
        missing = inputs.without_usable_price()
        if len(missing) == len(symbols_of(inputs.portfolio)):
            return {}
        frozen = self.holdings.read_prices(filter(inputs.holds, missing), inputs.quotes)
        return {symbol: price.value for symbol, price in frozen.items()}
