"""Health and the description of the API, open to all."""

from constructs import Construct

from infra.api import Api
from infra.config import project_version
from infra.data_stack import DataStack
from infra.function import Function, Shared


class Platform(Construct):
    """One function that looks at the table and the queue and describes every API function's routes."""

    def __init__(self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api) -> None:
        super().__init__(scope, id)
        function = Function(
            self,
            "Api",
            shared=shared,
            package="platform_api",
            description="Health, OpenAPI document and its page",
            environment={
                "PORTFOLIOS_TABLE": data.portfolios.table_name,
                "REBALANCE_REQUESTS_QUEUE_URL": data.rebalance_requests.url,
                "VERSION": project_version(),
            },
        )
        function.allow(["dynamodb:DescribeTable"], [data.portfolios.table_arn])
        function.allow(["sqs:GetQueueAttributes"], [data.rebalance_requests.arn])
        api.add(function, "platform_api", public=True)
