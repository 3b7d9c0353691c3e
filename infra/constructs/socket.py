"""The WebSocket API: the retained address, and the replaceable routes and stage."""

from aws_cdk import Aws, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.config import Config
from infra.constructs.api import STAGE
from infra.constructs.context import removal_policy
from infra.constructs.function import FunctionContext, LambdaFunction, account_and_region
from infra.constructs.policies import acknowledge, in_finding

_ROUTES = ("$connect", "$disconnect", "$default")


class SocketAddress(Construct):
    """The WebSocket API without routes, for the retained stack: the id of the API is part of its URL."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self._local_endpoint = config.local_endpoint
        self._api = apigateway.CfnApi(
            self,
            "Api",
            name=f"{config.prefix}-events",
            description="Trimtab: events in real time",
            protocol_type="WEBSOCKET",
            route_selection_expression="$request.body.action",
        )
        self._api.apply_removal_policy(removal_policy(config))

    @property
    def api_id(self) -> str:
        """The id of the API."""
        api_id: str = self._api.ref
        return api_id

    @property
    def url(self) -> str:
        """The address for clients (`wss://…`)."""
        return f"ws{self.endpoint.removeprefix('http')}"

    @property
    def endpoint(self) -> str:
        """The address of the management API, by which functions send messages to connections."""
        if self._local_endpoint:
            return f"{self._local_endpoint}/_aws/execute-api/{self.api_id}/{STAGE}"
        return f"https://{self.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}/{STAGE}"

    def allow_messages(self, function: LambdaFunction, *methods: str) -> None:
        """Grant these methods of the management API, `POST` to send and `DELETE` to close, for every connection."""
        stack = Stack.of(self)
        # The policy finding names the API by the export of the retained stack, and the account by pseudo parameters.
        exported = Stack.of(function).resolve(stack.export_value(self.api_id))["Fn::ImportValue"]
        for method in methods:
            path = f"{STAGE}/{method}/@connections/*"
            place = f"{account_and_region(function)}:{self.api_id}"
            function.allow(["execute-api:ManageConnections"], [f"arn:{Aws.PARTITION}:execute-api:{place}/{path}"])
            place = f"{account_and_region(function)}:{exported}"
            found = in_finding(f"arn:{Aws.PARTITION}:execute-api:{place}/{path}")
            reason = "API Gateway chooses the ids of connections; the grant is on the connections of this API only."
            acknowledge(function.role, f"AwsSolutions-IAM5[Resource::{found}]", reason)


class SocketRoutes(Construct):
    """The routes of the WebSocket API, all to one function, and the stage.

    No access log is written: the query string of a connect from a browser contains a token.
    """

    def __init__(
        self, scope: Construct, id: str, *, context: FunctionContext, address: SocketAddress, function: LambdaFunction
    ) -> None:
        super().__init__(scope, id)
        arn = function.function.function_arn
        uri = f"arn:{Aws.PARTITION}:apigateway:{Aws.REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"
        integration = apigateway.CfnIntegration(
            self, "Integration", api_id=address.api_id, integration_type="AWS_PROXY", integration_uri=uri
        )
        source = f"arn:{Aws.PARTITION}:execute-api:{account_and_region(self)}:{address.api_id}/{STAGE}/*"
        function.function.add_permission(
            "Socket", principal=iam.ServicePrincipal("apigateway.amazonaws.com"), source_arn=source
        )
        routes = [self._add_route(key, address, integration) for key in _ROUTES]
        config = context.config
        stage = apigateway.CfnStage(
            self,
            "Stage",
            api_id=address.api_id,
            stage_name=STAGE,
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=config.throttle_rate, throttling_burst_limit=config.throttle_burst
            ),
        )
        for route in routes:
            stage.add_resource_dependency(route)
        acknowledge(stage, "AwsSolutions-APIG1", "A connect from a browser has its token in the query string.")

    def _add_route(
        self, key: str, address: SocketAddress, integration: apigateway.CfnIntegration
    ) -> apigateway.CfnRoute:
        route = apigateway.CfnRoute(
            self,
            key.removeprefix("$").title(),
            api_id=address.api_id,
            route_key=key,
            authorization_type="NONE",
            target=f"integrations/{integration.ref}",
        )
        acknowledge(route, "AwsSolutions-APIG4", "The function verifies the token of each connect.")
        return route
