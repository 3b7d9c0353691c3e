"""Gradual releases: a new version of a function takes a share of the invocations first, then all unless an alarm rings.

The resources of CodeDeploy are part of the retained stack, because the service stack comes close to the 500 resources
that CloudFormation allows. Names are fixed texts, so that neither stack refers to the other.
"""

from typing import cast

from aws_cdk import CfnCodeDeployLambdaAliasUpdate, CfnUpdatePolicy, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.config import Config
from infra.constructs.policies import acknowledge
from infra.settings import Canary

ALIAS = "live"
_POLICY = "service-role/AWSCodeDeployRoleForLambdaLimited"
_TEXT = "The new version of {name} fails: the release is rolled back. Runbook: docs/guides/runbook.md#failed-releases"


class GradualReleases(Construct):
    """The CodeDeploy application of an environment, with a deployment group and an alarm for each function."""

    def __init__(self, scope: Construct, id: str, *, config: Config, canary: Canary) -> None:
        super().__init__(scope, id)
        self._name = config.prefix
        self._application = codedeploy.CfnApplication(
            self, "Application", application_name=self._name, compute_platform="Lambda"
        )
        self._shift = codedeploy.CfnDeploymentConfig(
            self,
            "Shift",
            # A deployment configuration cannot be changed, so that another share or time makes another one.
            deployment_config_name=f"{self._name}-{canary.percent}-percent-{canary.minutes}-minutes",
            compute_platform="Lambda",
            traffic_routing_config=codedeploy.CfnDeploymentConfig.TrafficRoutingConfigProperty(
                type="TimeBasedCanary",
                time_based_canary=codedeploy.CfnDeploymentConfig.TimeBasedCanaryProperty(
                    canary_interval=canary.minutes, canary_percentage=canary.percent
                ),
            ),
        )
        policy = iam.ManagedPolicy.from_aws_managed_policy_name(_POLICY)
        self._role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("codedeploy.amazonaws.com"), managed_policies=[policy]
        )
        finding = f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]"
        acknowledge(self._role, finding, "CodeDeploy moves aliases of functions by the limited policy that AWS keeps.")

    @classmethod
    def of(cls, scope: Construct, config: Config, canary: Canary) -> "GradualReleases":
        """Return the releases of the stack of `scope`, made at the first call."""
        found = Stack.of(scope).node.try_find_child("Releases")
        return found if isinstance(found, cls) else cls(Stack.of(scope), "Releases", config=config, canary=canary)

    def add(self, name: str, alias: lambda_.Alias) -> None:
        """Shift the alias of the function with this name by CodeDeploy, and roll back at the first failure."""
        alarm = self._make_alarm(name)
        groups = codedeploy.CfnDeploymentGroup
        codedeploy.CfnDeploymentGroup(
            self,
            name,
            application_name=self._application.ref,
            deployment_group_name=name,
            service_role_arn=self._role.role_arn,
            deployment_config_name=self._shift.ref,
            deployment_style=groups.DeploymentStyleProperty(
                deployment_type="BLUE_GREEN", deployment_option="WITH_TRAFFIC_CONTROL"
            ),
            auto_rollback_configuration=groups.AutoRollbackConfigurationProperty(
                enabled=True, events=["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
            ),
            alarm_configuration=groups.AlarmConfigurationProperty(
                enabled=True, alarms=[groups.AlarmProperty(name=alarm.ref)]
            ),
        )
        update = CfnCodeDeployLambdaAliasUpdate(application_name=self._name, deployment_group_name=name)
        child = cast(lambda_.CfnAlias, alias.node.default_child)
        child.cfn_options.update_policy = CfnUpdatePolicy(code_deploy_lambda_alias_update=update)

    def _make_alarm(self, name: str) -> cloudwatch.CfnAlarm:
        dimensions = {"FunctionName": name, "Resource": f"{name}:{ALIAS}"}
        return cloudwatch.CfnAlarm(
            self,
            f"{name}-errors",
            alarm_name=f"{name}-release",
            alarm_description=_TEXT.format(name=name),
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name=key, value=value) for key, value in dimensions.items()
            ],
            statistic="Sum",
            period=Duration.minutes(1).to_seconds(),
            threshold=1,
            evaluation_periods=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
        )
