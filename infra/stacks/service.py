"""The service stack: the resources of each context that a release may replace."""

from aws_cdk import CfnOutput, Environment, Stack
from constructs import Construct

from infra.config import Config
from infra.constructs.api import ApiGateway
from infra.constructs.function import CodeLayers, FunctionContext
from infra.contexts.analytics import AnalyticsFunctions
from infra.contexts.balancing import BalancingFunctions
from infra.contexts.betting import BettingFunctions
from infra.contexts.compat import CompatFunctions
from infra.contexts.execution import ExecutionFunctions
from infra.contexts.ledger import LedgerFunctions
from infra.contexts.market import MarketFunctions
from infra.contexts.notifications import NotificationFunctions
from infra.contexts.platform import PlatformFunctions
from infra.contexts.portfolio import PortfolioFunctions
from infra.contexts.rebalancing import RebalancingFunctions
from infra.contexts.webhooks import WebhookFunctions
from infra.stacks.retained import RetainedStack


class ServiceStack(Stack):
    """Functions, routes and schedules. Deleting the stack and deploying it again loses no data and no messages."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: Config,
        env: Environment,
        retained: RetainedStack,
        description: str,
    ) -> None:
        super().__init__(scope, id, env=env, description=description)
        platform = retained.platform
        self._retained = retained
        layers = CodeLayers(self, "Layers", config=config)
        self._context = FunctionContext(config, platform.context.function_logs, layers)
        self.api = ApiGateway(
            self, "Gateway", context=self._context, address=platform.address, identity=platform.identity
        )
        self._add_portfolio_modules()
        self._add_other_contexts()
        CfnOutput(self, "ApiUrl", value=platform.address.url)
        if retained.webhooks.socket:
            CfnOutput(self, "SocketUrl", value=retained.webhooks.socket.address.url)

    def _add_portfolio_modules(self) -> None:
        context, api, retained = self._context, self.api, self._retained
        portfolio, market = retained.portfolio, retained.market
        functions = PortfolioFunctions(
            self,
            "Portfolio",
            context=context,
            api=api,
            portfolio=portfolio,
            market=market,
            rebalance_requests=retained.rebalancing.requests,
            recalculations=retained.ledger.recalculations,
        )
        LedgerFunctions(self, "Ledger", context=context, portfolio=portfolio, ledger=retained.ledger, market=market)
        ExecutionFunctions(
            self, "Execution", context=context, portfolio=portfolio, execution=retained.execution, market=market
        )
        balancing = BalancingFunctions(
            self,
            "Balancing",
            context=context,
            api=api,
            portfolio=portfolio,
            ledger=retained.ledger,
            rebalancing=retained.rebalancing,
            execution=retained.execution,
            balancing=retained.balancing,
            market=market,
        )
        senders = [functions.api, balancing.sweeper]
        if context.config.compat:
            compat = CompatFunctions(
                self,
                "Compat",
                context=context,
                api=api,
                portfolio=portfolio,
                market=market,
                betting=retained.betting,
                rebalance_requests=retained.rebalancing.requests,
                recalculations=retained.ledger.recalculations,
            )
            senders.append(compat.api)
        RebalancingFunctions(
            self,
            "Rebalancing",
            context=context,
            portfolio=portfolio,
            rebalancing=retained.rebalancing,
            senders=senders,
            redrive=retained.redrive,
        )

    def _add_other_contexts(self) -> None:
        context, api, retained = self._context, self.api, self._retained
        MarketFunctions(
            self,
            "Market",
            context=context,
            api=api,
            market=retained.market,
            watches=retained.balancing.watches,
            checks=retained.balancing.checks,
        )
        BettingFunctions(self, "Betting", context=context, api=api, betting=retained.betting, redrive=retained.redrive)
        AnalyticsFunctions(
            self,
            "Analytics",
            context=context,
            api=api,
            analytics=retained.analytics,
            portfolio=retained.portfolio,
            market=retained.market,
            notifications=retained.notifications,
            domain_events=retained.platform.events,
        )
        NotificationFunctions(
            self,
            "Notifications",
            context=context,
            api=api,
            notifications=retained.notifications,
            portfolio=retained.portfolio,
            platform=retained.platform,
        )
        WebhookFunctions(self, "Webhooks", context=context, api=api, webhooks=retained.webhooks)
        PlatformFunctions(
            self,
            "Platform",
            context=context,
            api=api,
            platform=retained.platform,
            portfolios=retained.portfolio.table,
            rebalance_requests=retained.rebalancing.requests,
            work_queues=retained.work_queues,
            failure_queues=retained.failure_queues,
            event_tables=retained.event_tables,
        )
