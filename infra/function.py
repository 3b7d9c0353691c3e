"""The one way a function is made here: every Lambda of the system is a `Function` of this module."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarms import Alarms
from infra.config import Config
from infra.data_stack import WorkQueue
from infra.policies import acknowledge
from infra.tools.bundling import LAYERS, Bundler


class Layers(Construct):
    """The code that all functions share, as layers or (where a cloud has none) inside each function."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self.bundler = Bundler(config.target)
        self.inline = config.inline_layers
        self._versions: dict[str, lambda_.ILayerVersion] = {}

    def code(self, function: str, names: Sequence[str]) -> lambda_.Code:
        """The asset of one function."""
        bundle = self.bundler.function(function, inline_layers=names if self.inline else ())
        return lambda_.Code.from_asset(str(bundle.path), asset_hash=bundle.digest)

    def versions(self, names: Sequence[str]) -> list[lambda_.ILayerVersion]:
        """The layers of one function, none where they are in its asset."""
        return [] if self.inline else [self._version(name) for name in names]

    def _version(self, name: str) -> lambda_.ILayerVersion:
        if name not in self._versions:
            self._versions[name] = self._made(name)
        return self._versions[name]

    def _made(self, name: str) -> lambda_.LayerVersion:
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
class Shared:
    """What every function of a service stack is made with."""

    config: Config
    layers: Layers
    alarms: Alarms


class Function(Construct):
    """A Python function with its own role and log group.

    The role may write to that log group and nothing else until `allow` adds to it. The log group ends with the
    configured retention. Every failed invocation counts for an alarm. `on_failure` is required of whoever invokes it
    asynchronously: an event that failed all its tries goes there.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        shared: Shared,
        package: str,
        description: str,
        environment: Mapping[str, str],
        timeout_seconds: int = 10,
        memory_mb: int = 512,
        on_failure: sqs.IQueue | None = None,
        more_layers: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, id)
        config, layers = shared.config, (*LAYERS, *more_layers)
        name = f"{config.prefix}-{package.replace('_', '-')}"
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention=retention(config),
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=_architecture(config),
            handler=f"functions.{package}.handler.handler",
            code=shared.layers.code(package, layers),
            layers=shared.layers.versions(layers),
            role=self.role,
            log_group=self.log_group,
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_seconds),
            environment={**_powertools(config, package), **environment},
        )
        self._on_failure(on_failure)
        shared.alarms.function_errors(self.function, package)
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            "Python 3.13: the dependencies' wheels and the local clouds are tested with 3.11 to 3.13.",
        )

    def allow(self, actions: Sequence[str], resources: Sequence[str]) -> None:
        """Grants exactly these actions on exactly these resources."""
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))

    def allow_table(self, table: dynamodb.ITable, actions: Sequence[str]) -> None:
        """Grants these actions on the table's items."""
        self.allow([f"dynamodb:{action}" for action in actions], [table.table_arn])

    def allow_indexes(self, table: dynamodb.ITable, indexes: Sequence[str]) -> None:
        """Allows to query these indexes of the table."""
        self.allow(["dynamodb:Query"], [f"{table.table_arn}/index/{index}" for index in indexes])

    def allow_sending(self, *queues: WorkQueue) -> None:
        """Allows to put messages on these queues."""
        self.allow(["sqs:SendMessage"], [work.arn for work in queues])

    def _on_failure(self, queue: sqs.IQueue | None) -> None:
        if queue is None:
            return
        self.function.configure_async_invoke(
            on_failure=destinations.SqsDestination(queue), retry_attempts=2, max_event_age=Duration.hours(1)
        )


def retention(config: Config) -> logs.RetentionDays:
    """The configured retention of log groups; a number of days that CloudWatch does not offer is refused at synth."""
    days = {1: "ONE_DAY", 7: "ONE_WEEK", 30: "ONE_MONTH", 90: "THREE_MONTHS", 365: "ONE_YEAR"}
    return logs.RetentionDays[days[config.log_retention_days]]


def account_and_region(scope: Construct) -> str:
    """`region:account` of the stack, as it stands in an ARN."""
    stack = Stack.of(scope)
    return f"{stack.region}:{stack.account}"


def _architecture(config: Config) -> lambda_.Architecture:
    x86 = config.target.platform is not None and config.target.platform.startswith("x86_64")
    return lambda_.Architecture.X86_64 if x86 else lambda_.Architecture.ARM_64


def _powertools(config: Config, package: str) -> dict[str, str]:
    return {
        "POWERTOOLS_SERVICE_NAME": package,
        "POWERTOOLS_METRICS_NAMESPACE": "Trimtab",
        "POWERTOOLS_LOG_LEVEL": config.log_level,
        "POWERTOOLS_LOGGER_LOG_EVENT": "false",  # events carry what customers hold
    }
