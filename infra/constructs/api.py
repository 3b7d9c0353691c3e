"""The HTTPS API: the retained address, and the replaceable routes, authorizer and stage."""

import json
from collections.abc import Mapping, Sequence

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.config import Config
from infra.constructs.context import removal_policy
from infra.constructs.function import FunctionContext, LambdaFunction, log_retention
from infra.constructs.gateway_responses import GATEWAY_PROBLEMS, add_gateway_problems, cors_headers
from infra.constructs.identity import Identity
from infra.constructs.policies import acknowledge
from infra.constructs.routes import routes_of
from infra.constructs.signing_key import make_signing_key
from infra.constructs.tenant_throttles import TenantThrottles, usage_keys
from infra.settings import Domain

STAGE = "v1"
_BINARY = ("*/*", "application/proto", "application/grpc-web+proto")  # LocalStack ignores the wildcard
_COMPRESS_FROM_BYTES = 1400  # about one network packet: compressing smaller responses gains nothing
_AUTHORIZER_CACHE_SECONDS = 300
_LOG_POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
# The path is left out: the path of a link is the key to a picture, and logs have readers. `request_id` leads to the
# path in the log of the function.
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


class ApiAddress(Construct):
    """The REST API without routes, for the retained stack: the id of the REST API is part of every URL.

    Responses are compressed by API Gateway. Every media type is binary: bodies reach the functions as base64, and a
    base64 response reaches the client as bytes whatever types the client accepts (protobuf clients name none).
    """

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self._config = config
        self._rest_api = apigateway.CfnRestApi(
            self,
            "RestApi",
            name=config.prefix,
            description="Trimtab: portfolios, rebalancing",
            endpoint_configuration=apigateway.CfnRestApi.EndpointConfigurationProperty(types=["REGIONAL"]),
            binary_media_types=[*_BINARY],
            minimum_compression_size=_COMPRESS_FROM_BYTES,
            api_key_source_type="AUTHORIZER" if config.tenant_throttles else None,
        )
        self._rest_api.apply_removal_policy(removal_policy(config))
        self.cursors_name = f"{config.prefix}/cursors"
        self.cursors_key = make_signing_key(
            self, "CursorsKey", name=self.cursors_name, description="Authenticates cursors of lists"
        )
        acknowledge(
            self._rest_api,
            "AwsSolutions-APIG2",
            "Requests are validated by the functions, whose responses name each field in error.",
        )
        if config.gateway_logs:
            self._allow_logs()
        if config.domain:
            self._add_domain(config.domain)

    @property
    def api_id(self) -> str:
        """The id of the REST API."""
        return self._rest_api.ref

    @property
    def root_resource_id(self) -> str:
        """The id of the resource `/`, the parent of all routes."""
        return self._rest_api.attr_root_resource_id

    @property
    def url(self) -> str:
        """The address of the stage: that of the config, otherwise the address that API Gateway gives.

        The address of a local cloud needs no name resolution.
        """
        if self._config.local_endpoint:
            return f"{self._config.local_endpoint}/restapis/{self.api_id}/{STAGE}/_user_request_"
        return self._config.api_url or f"https://{self.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}/{STAGE}"

    def _add_domain(self, domain: Domain) -> None:
        """Make the domain, which the retained stack keeps, because DNS records point to it."""
        made = apigateway.CfnDomainName(
            self,
            "Domain",
            domain_name=domain.name,
            regional_certificate_arn=domain.certificate_arn,
            endpoint_configuration=apigateway.CfnDomainName.EndpointConfigurationProperty(types=["REGIONAL"]),
            security_policy="TLS_1_2",
        )
        CfnOutput(Stack.of(self), "DomainTarget", value=made.attr_regional_domain_name)

    def _allow_logs(self) -> None:
        """Let API Gateway write logs. The setting belongs to the account and is retained in every environment."""
        role = iam.Role(
            self,
            "CloudWatchRole",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(_LOG_POLICY)],
        )
        role.apply_removal_policy(RemovalPolicy.RETAIN)
        account = apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=role.role_arn)
        account.apply_removal_policy(RemovalPolicy.RETAIN)
        account.node.add_dependency(self._rest_api)
        acknowledge(
            role,
            f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_LOG_POLICY}]",
            "API Gateway needs this policy, for the whole account, to write any log.",
        )


class ApiGateway(Construct):
    """The routes of the functions, their token authorizer, and a throttled stage with access logs.

    Of the functions of a resource, the one added first gets the methods that no route has (`ANY`): HEAD, OPTIONS, and
    those that are answered with 405. No authorizer stands before them, because a browser sends OPTIONS without a token;
    the function verifies the token of HEAD.

    Add every function before the synthesis. The deployment is named by a hash of the routes, so that any change of the
    routes makes a new deployment.
    """

    def __init__(
        self, scope: Construct, id: str, *, context: FunctionContext, address: ApiAddress, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self.identity = identity
        self.address = address
        self._rest_api = apigateway.RestApi.from_rest_api_attributes(
            self, "RestApi", rest_api_id=address.api_id, root_resource_id=address.root_resource_id
        )
        self._deployment = apigateway.Deployment(self, "Deployment", api=self._rest_api)
        origins = context.config.allowed_origins
        self._resources: set[str] = set()
        self._usage_keys = usage_keys(context.config)
        self._authorizer = self._make_authorizer() if context.config.gateway_authorizer else None
        self._deployment.node.add_dependency(*add_gateway_problems(self, self._rest_api, origins))
        self._deployment.add_to_logical_id(_settings(origins))
        self.access_logs = self._make_access_logs()
        self._make_stage()

    def add(self, function: LambdaFunction) -> None:
        """Add every route of the function."""
        function.function.add_environment("ALLOWED_ORIGINS", ",".join(self._context.config.allowed_origins))
        integration = apigateway.LambdaIntegration(function.invoked, proxy=True, scope_permission_to_method=False)
        for route in routes_of(function.package):
            authorizer = None if route.is_open else self._authorizer
            method = self._add_method(route.path, route.method, integration, authorizer, function)
            _acknowledge_authorization(method, is_open=route.is_open, guarded=authorizer is not None)
            if route.path not in self._resources:
                self._resources.add(route.path)
                method = self._add_method(route.path, "ANY", integration, None, function)
                _acknowledge_other_methods(method)

    def _add_method(
        self,
        path: str,
        method: str,
        integration: apigateway.LambdaIntegration,
        authorizer: apigateway.IAuthorizer | None,
        function: LambdaFunction,
    ) -> apigateway.Method:
        throttled = authorizer is not None and bool(self._usage_keys)
        added = self._rest_api.root.resource_for_path(path).add_method(
            method, integration, authorizer=authorizer, api_key_required=throttled or None
        )
        self._deployment.node.add_dependency(added)
        self._deployment.add_to_logical_id(
            {
                "path": path,
                "method": method,
                "authorizer": authorizer.authorizer_id if authorizer else None,
                "function": function.package,
                **({"key": True} if throttled else {}),
            }
        )
        return added

    def _make_authorizer(self) -> apigateway.IAuthorizer:
        """Make the authorizer that rejects invalid tokens before a function runs.

        API Gateway caches the result for the whole stage, so the functions check expiry and scopes again.
        """
        function = LambdaFunction(
            self,
            "Authorizer",
            context=self._context,
            package="authorizer",
            description="Verifies bearer tokens for the gateway",
            environment={"AUTH": self.identity.auth, **self._throttle_settings()},
        )
        self.identity.allow_verifying(function)
        return apigateway.TokenAuthorizer(
            self,
            "TokenAuthorizer",
            handler=function.function,
            identity_source=apigateway.IdentitySource.header("Authorization"),
            results_cache_ttl=Duration.seconds(_AUTHORIZER_CACHE_SECONDS),
        )

    def _throttle_settings(self) -> dict[str, str]:
        return {"USAGE_KEYS": json.dumps(self._usage_keys)} if self._usage_keys else {}

    def _make_access_logs(self) -> logs.LogGroup | None:
        config = self._context.config
        if not config.gateway_logs:
            return None
        return logs.LogGroup(self, "AccessLogs", retention=log_retention(config), removal_policy=RemovalPolicy.DESTROY)

    def _make_stage(self) -> apigateway.Stage:
        config, log_group = self._context.config, self.access_logs
        stage = apigateway.Stage(
            self,
            "Stage",
            deployment=self._deployment,
            stage_name=STAGE,
            throttling_rate_limit=config.throttle_rate,
            throttling_burst_limit=config.throttle_burst,
            access_log_destination=apigateway.LogGroupLogDestination(log_group) if log_group else None,
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_LOG_FIELDS)) if log_group else None,
            logging_level=apigateway.MethodLoggingLevel.ERROR if log_group else None,
            metrics_enabled=True if log_group else None,
            data_trace_enabled=False if log_group else None,
        )
        if self._usage_keys:
            TenantThrottles(self, "Throttles", config=config, api_id=self.address.api_id, stage=stage)
        if config.web_acl_arn:
            self._attach_web_acl(stage, config.web_acl_arn)
        else:
            acknowledge(stage, "AwsSolutions-APIG3", "A web ACL belongs to the account: `web_acl_arn` attaches one.")
        if config.domain:
            self._map_domain(stage, config.domain)
        return stage

    def _attach_web_acl(self, stage: apigateway.Stage, web_acl_arn: str) -> None:
        place = f"arn:{Aws.PARTITION}:apigateway:{Aws.REGION}::/restapis/{self.address.api_id}/stages"
        attached = wafv2.CfnWebACLAssociation(
            self, "WebAcl", resource_arn=f"{place}/{stage.stage_name}", web_acl_arn=web_acl_arn
        )
        attached.node.add_dependency(stage)

    def _map_domain(self, stage: apigateway.Stage, domain: Domain) -> None:
        """Map the domain to the stage. The name is a text, so that the retained stack exports nothing for the map."""
        mapping = apigateway.CfnBasePathMapping(
            self, "Domain", domain_name=domain.name, rest_api_id=self.address.api_id, stage=STAGE
        )
        mapping.node.add_dependency(stage)


class ApiFunction(LambdaFunction):
    """A function behind the API: verifies the tokens of callers and answers the routes of its resolver.

    The gateway waits at most 29 seconds, so a longer `timeout_seconds` has no effect. `has_lists` grants reading the
    key of cursors.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        package: str,
        description: str,
        environment: Mapping[str, str],
        memory_mb: int = 512,
        timeout_seconds: int = 10,
        extra_layers: Sequence[str] = (),
        has_lists: bool = False,
    ) -> None:
        cursors = {"CURSORS_SECRET_ID": api.address.cursors_key.secret_arn} if has_lists else {}
        super().__init__(
            scope,
            id,
            context=context,
            package=package,
            description=description,
            environment={**environment, **cursors, "AUTH": api.identity.auth},
            memory_mb=memory_mb,
            timeout_seconds=timeout_seconds,
            extra_layers=extra_layers,
            gradual=True,
        )
        if has_lists:
            self.allow_secret(api.address.cursors_name)
        api.identity.allow_verifying(self)
        api.add(self)


def _settings(allowed_origins: Sequence[str]) -> dict[str, object]:
    """Return the settings that take effect with a new deployment only and belong to no single route."""
    return {
        "binary": list(_BINARY),
        "compress_from_bytes": _COMPRESS_FROM_BYTES,
        "authorizer_cache_seconds": _AUTHORIZER_CACHE_SECONDS,
        "cors": cors_headers(allowed_origins),
        "problems": {name: problem.template for name, (_, problem) in GATEWAY_PROBLEMS.items()},
    }


def _acknowledge_other_methods(method: apigateway.Method) -> None:
    reason = "The function refuses every method without a route, answers OPTIONS, and verifies the token of HEAD."
    acknowledge(method, "AwsSolutions-APIG4", reason)
    acknowledge(method, "AwsSolutions-COG4", reason)


def _acknowledge_authorization(method: apigateway.Method, *, is_open: bool, guarded: bool) -> None:
    if is_open:
        reason = "Open to all by design: health, the description of the API, and links that carry a signature."
        acknowledge(method, "AwsSolutions-APIG4", reason)
        acknowledge(method, "AwsSolutions-COG4", reason)
    elif guarded:
        reason = "Tokens of any OIDC issuer are verified by the Lambda authorizer and scopes by the function."
        acknowledge(method, "AwsSolutions-COG4", reason)
