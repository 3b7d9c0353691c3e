"""The retained stack: all resources to keep across releases, by context."""

from collections.abc import Sequence

from aws_cdk import Environment, Stack
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.config import Config
from infra.constructs.queues import FailureQueue, WorkQueue
from infra.constructs.redrive import RedriveRole
from infra.contexts.analytics import RetainedAnalytics
from infra.contexts.balancing import RetainedBalancing
from infra.contexts.betting import RetainedBetting
from infra.contexts.execution import RetainedExecution
from infra.contexts.ledger import RetainedLedger
from infra.contexts.market import RetainedMarket
from infra.contexts.notifications import RetainedNotifications
from infra.contexts.platform import RetainedPlatform
from infra.contexts.portfolio import RetainedPortfolio
from infra.contexts.rebalancing import RetainedRebalancing
from infra.contexts.webhooks import RetainedWebhooks


class RetainedStack(Stack):
    """Tables, queues, buckets, keys, the user pool and the address of the API.

    A release of the service stack replaces none of these resources. Stack outputs name the tables, queues, buckets, the
    event bus and the alerts topic.
    """

    def __init__(self, scope: Construct, id: str, *, config: Config, env: Environment, description: str) -> None:
        protected = config.stateful_protection
        super().__init__(scope, id, env=env, description=description, termination_protection=protected)
        self.platform = RetainedPlatform(self, "Platform", config=config)
        context, events = self.platform.context, self.platform.events
        self.portfolio = RetainedPortfolio(self, "Portfolio", context=context)
        self.ledger = RetainedLedger(self, "Ledger", context=context)
        self.rebalancing = RetainedRebalancing(self, "Rebalancing", context=context)
        self.execution = RetainedExecution(self, "Execution", context=context)
        self.balancing = RetainedBalancing(self, "Balancing", context=context)
        self.market = RetainedMarket(self, "Market", context=context)
        self.betting = RetainedBetting(self, "Betting", context=context)
        self.analytics = RetainedAnalytics(self, "Analytics", context=context, events=events)
        self.notifications = RetainedNotifications(self, "Notifications", context=context, platform=self.platform)
        self.webhooks = RetainedWebhooks(self, "Webhooks", context=context, events=events)
        self.redrive = None if config.any_sender else self._add_redrive_role()

    def _add_redrive_role(self) -> RedriveRole:
        return RedriveRole(self, "Redrive", work_queues=self.work_queues, failure_queues=self.failure_queues)

    @property
    def work_queues(self) -> Sequence[WorkQueue]:
        """Queues with a worker, of every context."""
        return [each for each in self.node.find_all() if isinstance(each, WorkQueue)]

    @property
    def failure_queues(self) -> Sequence[FailureQueue]:
        """Queues without a worker, of every context."""
        return [each for each in self.node.find_all() if isinstance(each, FailureQueue)]

    @property
    def event_tables(self) -> Sequence[dynamodb.ITable]:
        """Tables whose items carry domain events to publish."""
        contexts = (
            *(self.portfolio, self.market, self.betting),
            *(self.analytics, self.notifications, self.webhooks),
        )
        return tuple(context.table for context in contexts)
