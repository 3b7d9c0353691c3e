"""The HTTPS front: one REST API whose methods are the resolvers' routes."""

import json

from aws_cdk import Aws, Duration, RemovalPolicy, Size
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Config
from infra.function import Function, Shared, retention
from infra.gateway_responses import add_gateway_problems
from infra.identity import Identity
from infra.policies import acknowledge
from infra.routes import routes_of

STAGE = "v1"
_BINARY = ("*/*", "application/proto", "application/grpc-web+proto")  # LocalStack passes over the wildcard
_COMPRESS_FROM_BYTES = 1400  # about one network packet: smaller answers gain nothing
# Not the path: that of a link is a key to its picture, and a log has readers. `request_id` finds it in the function's.
_LOG_FIELDS = {
    "request_id": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "route": "$context.resourcePath",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "integration_latency_ms": "$context.integrationLatency",
    "principal": "$context.authorizer.principalId",
    "error": "$context.error.responseType",
    "integration_status": "$context.integration.status",
}


class Api(Construct):
    """REST API with access logs, throttling, a cached token authorizer and problem+json for its own answers.

    Answers are compressed by the gateway. Every media type is binary, so that bodies reach the functions as base64, and
    an answer in base64 reaches the client as bytes whatever types it accepts: protobuf clients name none of their own.
    """

    def __init__(self, scope: Construct, id: str, *, shared: Shared, identity: Identity) -> None:
        super().__init__(scope, id)
        self._shared = shared
        config = shared.config
        self.rest_api = apigateway.RestApi(
            self,
            "RestApi",
            rest_api_name=config.prefix,
            description="Trimtab: portfolios, rebalancing",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=[*_BINARY],
            min_compression_size=Size.bytes(_COMPRESS_FROM_BYTES),
            cloud_watch_role=config.gateway_logs,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN if config.gateway_logs else None,
            deploy_options=self._stage(config),
        )
        self._authorizer = self._token_authorizer(identity) if config.gateway_authorizer else None
        add_gateway_problems(self.rest_api)
        self._acknowledge(config)

    @property
    def url(self) -> str:
        """The address of the stage. It names the gateway only, so a function whose routes stand behind it may know it.

        That of a local cloud needs no name resolution.
        """
        config, api_id = self._shared.config, self.rest_api.rest_api_id
        if config.local_endpoint:
            return f"{config.local_endpoint}/restapis/{api_id}/{STAGE}/_user_request_"
        own = f"https://{api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}/{STAGE}"
        return config.public_url or own

    def add(self, function: Function, package: str, *, public: bool = False) -> None:
        """Adds every route of the function's resolver. Of a `public` one none needs a token."""
        integration = apigateway.LambdaIntegration(function.function, proxy=True, scope_permission_to_method=False)
        for route in routes_of(package):
            is_open = public or route.is_open
            authorizer = None if is_open else self._authorizer
            resource = self.rest_api.root.resource_for_path(route.path)
            method = resource.add_method(route.method, integration, authorizer=authorizer)
            if is_open:
                reason = "Open to all by design: health, the API's description, and links that carry a signature."
                acknowledge(method, "AwsSolutions-APIG4", reason)
                acknowledge(method, "AwsSolutions-COG4", reason)
            elif authorizer:
                reason = "Tokens of any OIDC issuer are verified by the Lambda authorizer and scopes by the function."
                acknowledge(method, "AwsSolutions-COG4", reason)

    def _token_authorizer(self, identity: Identity) -> apigateway.IAuthorizer:
        """Refuses what is no valid token before a function runs. Its answer is kept for five minutes and holds for the
        whole stage, so expiry and scopes are checked again by the function."""
        function = Function(
            self,
            "Authorizer",
            shared=self._shared,
            package="authorizer",
            description="Verifies bearer tokens for the gateway",
            environment={"AUTH": identity.auth},
        )
        identity.let_verify(function)
        return apigateway.TokenAuthorizer(
            self,
            "TokenAuthorizer",
            handler=function.function,
            identity_source=apigateway.IdentitySource.header("Authorization"),
            results_cache_ttl=Duration.minutes(5),
        )

    def _stage(self, config: Config) -> apigateway.StageOptions:
        if not config.gateway_logs:
            return apigateway.StageOptions(
                stage_name=STAGE,
                throttling_rate_limit=config.throttle_rate,
                throttling_burst_limit=config.throttle_burst,
            )
        log_group = logs.LogGroup(self, "AccessLogs", retention=retention(config), removal_policy=RemovalPolicy.DESTROY)
        return apigateway.StageOptions(
            stage_name=STAGE,
            throttling_rate_limit=config.throttle_rate,
            throttling_burst_limit=config.throttle_burst,
            access_log_destination=apigateway.LogGroupLogDestination(log_group),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_LOG_FIELDS)),
            logging_level=apigateway.MethodLoggingLevel.ERROR,
            metrics_enabled=True,
            data_trace_enabled=False,
        )

    def _acknowledge(self, config: Config) -> None:
        acknowledge(
            self.rest_api,
            "AwsSolutions-APIG2",
            "Requests are validated by the functions, whose answers name each field in error.",
        )
        if not config.policy_checks:
            return
        stage = self.rest_api.deployment_stage
        acknowledge(
            stage, "AwsSolutions-APIG3", "A web ACL is the account's: it is attached to the stage by its owner."
        )
        role = self.rest_api.node.find_child("CloudWatchRole")
        acknowledge(
            role,
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
            "API Gateway needs this policy, for the whole account, to write any log.",
        )
