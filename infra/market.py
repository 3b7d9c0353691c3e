"""The market context: quotes and splits, which belong to the platform and which every tenant's portfolios read."""

from constructs import Construct

from infra.api import Api
from infra.data_stack import DataStack
from infra.function import Function, Shared
from infra.identity import Identity

_API_ACTIONS = ("GetItem", "PutItem", "UpdateItem")


class Market(Construct):
    """The API of the market context, wired to its table."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        function = Function(
            self,
            "Api",
            shared=shared,
            package="market_api",
            description="Quotes and splits over HTTP",
            environment={"MARKET_TABLE": data.market.table_name, "AUTH": identity.auth},
        )
        identity.let_verify(function)
        function.allow([f"dynamodb:{action}" for action in _API_ACTIONS], [data.market.table_arn])
        api.add(function, "market_api")
