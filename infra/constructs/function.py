"""Lambda functions: every function of the system is a `LambdaFunction`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Config
from infra.constructs.context import StackContext
from infra.constructs.policies import acknowledge, in_finding
from infra.constructs.queues import FailureQueue, WorkQueue
from infra.constructs.releases import ALIAS, GradualReleases
from infra.settings import RetentionDays
from infra.tools.bundling import LAYERS, Bundler

_RETENTIONS: dict[RetentionDays, logs.RetentionDays] = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}
_KEY_ACTIONS = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
WHOLE_PROCESSOR_MB = 1769
"""The memory size from which Lambda gives a function one whole processor."""


class CodeLayers(Construct):
    """The code that all functions share: layers, or part of each function where a cloud has no layers."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self.bundler = Bundler(config.target)
        self.inline = config.inline_layers
        self._versions: dict[str, lambda_.ILayerVersion] = {}

    def code(self, function: str, layers: Sequence[str]) -> lambda_.Code:
        """Return the asset of a function."""
        bundle = self.bundler.function(function, inline_layers=layers if self.inline else ())
        return lambda_.Code.from_asset(str(bundle.path), asset_hash=bundle.digest)

    def versions(self, layers: Sequence[str]) -> list[lambda_.ILayerVersion]:
        """Return the layers of a function, or none where the asset of the function contains the layers."""
        return [] if self.inline else [self._version(name) for name in layers]

    def _version(self, name: str) -> lambda_.ILayerVersion:
        if name not in self._versions:
            self._versions[name] = self._make_version(name)
        return self._versions[name]

    def _make_version(self, name: str) -> lambda_.LayerVersion:
        bundle = self.bundler.layer(name)
        return lambda_.LayerVersion(
            self,
            name.title(),
            code=lambda_.Code.from_asset(str(bundle.path), asset_hash=bundle.digest),
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
            compatible_architectures=[lambda_.Architecture.ARM_64],
            removal_policy=RemovalPolicy.DESTROY,
        )


@dataclass(frozen=True)
class FunctionContext(StackContext):
    """A stack context with the layers that hold the shared code of the functions."""

    layers: CodeLayers


class LambdaFunction(Construct):
    """A Python function with a role and a log group.

    The role may write to the log group and nothing else until one of the `allow…` methods extends the role. The log
    group keeps entries for the configured retention. `package` is the folder below `functions/`. `on_failure` is
    required for a function that is invoked asynchronously and receives the events that failed every attempt. With
    `gradual`, releases shift the invocations as `canary` of the config says. API Gateway and queues call `invoked`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        package: str,
        description: str,
        environment: Mapping[str, str],
        timeout_seconds: int = 10,
        memory_mb: int = 512,
        on_failure: FailureQueue | None = None,
        extra_layers: Sequence[str] = (),
        gradual: bool = False,
    ) -> None:
        super().__init__(scope, id)
        config, layers = context.config, (*LAYERS, *extra_layers)
        self.package = package
        self._key_arn = config.kms_key_arn
        self.timeout_seconds = timeout_seconds
        self.reads_stream = False
        self.name = name = f"{config.prefix}-{package.replace('_', '-')}"
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group = self._make_log_group(name, context)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=_architecture(config),
            handler=f"functions.{package}.handler.handler",
            code=context.layers.code(package, layers),
            layers=context.layers.versions(layers),
            role=self.role,
            log_group=self.log_group,
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_seconds),
            reserved_concurrent_executions=config.reserved_concurrency.get(package),
            environment={**_library_settings(config, package), **environment},
        )
        self.invoked = self._make_alias(context) if gradual else self.function
        if on_failure:
            self._send_failures_to(on_failure)
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            "Python 3.13: the wheels of the dependencies and the local clouds are tested with 3.11 to 3.13.",
        )

    def allow(self, actions: Sequence[str], resources: Sequence[str]) -> None:
        """Grant exactly these actions on exactly these resources."""
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))
        if any(action.startswith(("dynamodb:", "s3:")) for action in actions):
            self.allow_data_key()

    def allow_data_key(self) -> None:
        """Grant the use of the customer's key for tables and buckets, by DynamoDB and S3 only, if there is a key."""
        if self._key_arn:
            services = [f"{name}.{Stack.of(self).region}.{Aws.URL_SUFFIX}" for name in ("dynamodb", "s3")]
            statement = iam.PolicyStatement(
                actions=[f"kms:{action}" for action in _KEY_ACTIONS],
                resources=[self._key_arn],
                conditions={"StringEquals": {"kms:ViaService": services}},
            )
            self.role.add_to_principal_policy(statement)
            self._key_arn = None

    def allow_table(self, table: dynamodb.ITable, actions: Sequence[str]) -> None:
        """Grant these DynamoDB actions (`GetItem`, `Query`, …) on the items of the table."""
        self.allow([f"dynamodb:{action}" for action in actions], [table.table_arn])

    def allow_indexes(self, table: dynamodb.ITable, indexes: Sequence[str]) -> None:
        """Grant queries of these indexes of the table."""
        self.allow(["dynamodb:Query"], [f"{table.table_arn}/index/{index}" for index in indexes])

    def allow_sending(self, *queues: WorkQueue) -> None:
        """Grant sending messages to these queues."""
        self.allow(["sqs:SendMessage"], [work.arn for work in queues])

    def allow_secret(self, secret_name: str) -> None:
        """Grant reading the secret of this name; Secrets Manager appends six characters to the name in the ARN."""
        arn = f"arn:{Aws.PARTITION}:secretsmanager:{account_and_region(self)}:secret:{secret_name}-??????"
        self.allow(["secretsmanager:GetSecretValue"], [arn])

    def _make_alias(self, context: FunctionContext) -> lambda_.IFunction:
        """Return the alias whose version CodeDeploy replaces gradually, or the function where releases are at once."""
        canary = context.config.canary
        if canary is None:
            return self.function
        alias = lambda_.Alias(self, "Live", alias_name=ALIAS, version=self.function.current_version)
        GradualReleases.of(context.function_logs, context.config, canary).add(self.name, alias)
        return alias

    def _make_log_group(self, name: str, context: FunctionContext) -> logs.ILogGroup:
        """Make the log group in the retained stack, which has room, and refer to the group by name."""
        group_name = f"/aws/lambda/{name}"
        logs.LogGroup(
            context.function_logs,
            f"{name}-logs",
            log_group_name=group_name,
            retention=log_retention(context.config),
            removal_policy=RemovalPolicy.DESTROY,
        )
        log_group = logs.LogGroup.from_log_group_name(self, "Logs", group_name)
        log_group.grant_write(self.role)
        found = in_finding(log_group.log_group_arn)
        acknowledge(self.role, f"AwsSolutions-IAM5[Resource::{found}]", "The streams of the function's own log group.")
        return log_group

    def _send_failures_to(self, failures: FailureQueue) -> None:
        self.function.configure_async_invoke(
            on_failure=destinations.SqsDestination(failures.queue),
            retry_attempts=2,
            max_event_age=Duration.hours(1),
        )


def log_retention(config: Config) -> logs.RetentionDays:
    """Return the configured retention of log groups."""
    return _RETENTIONS[config.log_retention_days]


def account_and_region(scope: Construct) -> str:
    """Return `region:account` of the stack, the form used in an ARN."""
    stack = Stack.of(scope)
    return f"{stack.region}:{stack.account}"


def metrics_namespace(config: Config) -> str:
    """Return the CloudWatch namespace of the metrics that functions log; environments can share an account."""
    return f"Trimtab/{config.env}"


def _architecture(config: Config) -> lambda_.Architecture:
    x86 = config.target.platform is not None and config.target.platform.startswith("x86_64")
    return lambda_.Architecture.X86_64 if x86 else lambda_.Architecture.ARM_64


def _library_settings(config: Config, package: str) -> dict[str, str]:
    return {
        "POWERTOOLS_SERVICE_NAME": package,
        "POWERTOOLS_METRICS_NAMESPACE": metrics_namespace(config),
        "POWERTOOLS_LOG_LEVEL": config.log_level,
        "POWERTOOLS_LOGGER_LOG_EVENT": "false",  # events contain holdings of customers
        "PYDANTIC_DISABLE_PLUGINS": "__all__",  # pydantic looks for plugins in the metadata of each package
    }
