"""What a release replaces: functions, the API and the alarms."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.alarms import Alarms
from infra.analytics import Analytics
from infra.api import Api
from infra.balancing import Balancing
from infra.betting import Betting
from infra.config import Config
from infra.data_stack import DataStack
from infra.events import Events
from infra.function import Layers, Shared
from infra.identity import Identity
from infra.market import Market
from infra.notifications import Notifications
from infra.platform import Platform
from infra.portfolios import Portfolios


class ServiceStack(Stack):
    """Stateless: it can be deleted and deployed again without losing anything."""

    def __init__(self, scope: Construct, id: str, *, config: Config, data: DataStack, description: str) -> None:
        super().__init__(scope, id, description=description)
        alarms = Alarms(self, "Alarms", config=config, topic=data.alerts)
        shared = Shared(config=config, layers=Layers(self, "Layers", config=config), alarms=alarms)
        identity = Identity(self, "Identity", config=config)
        self.api = Api(self, "Gateway", shared=shared, identity=identity)
        self.portfolios = Portfolios(self, "Portfolios", shared=shared, data=data, api=self.api, identity=identity)
        Balancing(self, "Balancing", shared=shared, data=data, api=self.api, identity=identity)
        Market(self, "Market", shared=shared, data=data, api=self.api, identity=identity)
        Betting(self, "Betting", shared=shared, data=data, api=self.api, identity=identity)
        Analytics(self, "Analytics", shared=shared, data=data, api=self.api, identity=identity)
        Notifications(self, "Notifications", shared=shared, data=data, api=self.api, identity=identity)
        Platform(self, "Platform", shared=shared, data=data, api=self.api)
        Events(self, "Events", shared=shared, data=data)
        _watch_queues(alarms, data)
        CfnOutput(self, "ApiUrl", value=self.api.url)


def _watch_queues(alarms: Alarms, data: DataStack) -> None:
    for work in data.work_queues:
        alarms.oldest_message(work.queue, work.name)
        alarms.any_message(work.dead, f"{work.name}-dead")
    for name, queue in data.last_resorts.items():
        alarms.any_message(queue, name)
