"""The CDK app: `cdk synth -c env=prod`. The synthesis needs no AWS account."""

import os
import sys

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks

from infra.config import EXAMPLE_SENDER, Config
from infra.environments import ConfigError, load
from infra.stacks.retained import RetainedStack
from infra.stacks.service import ServiceStack


def build(app: cdk.App, config: Config) -> tuple[RetainedStack, ServiceStack]:
    """Add the stacks of an environment.

    Stacks name the account and the region of the environment file, so that the CDK refuses other credentials. Without
    them, a deployment uses the account and the region of the credentials.
    """
    place = cdk.Environment(account=config.account, region=config.region)
    retained = RetainedStack(
        app,
        f"{config.prefix}-retained",
        config=config,
        env=place,
        description=f"Trimtab {config.env}: data, queues, addresses",
    )
    service = ServiceStack(
        app,
        f"{config.prefix}-service",
        config=config,
        env=place,
        retained=retained,
        description=f"Trimtab {config.env}: functions and API",
    )
    if config.alarms:
        _add_monitoring(app, config, place, retained, service)
    for name, value in {**config.tags, "application": "trimtab", "environment": config.env}.items():
        cdk.Tags.of(app).add(name, value)
    if config.permissions_boundary_arn:
        boundary = iam.ManagedPolicy.from_managed_policy_arn(
            retained, "PermissionsBoundary", config.permissions_boundary_arn
        )
        iam.PermissionsBoundary.of(app).apply(boundary)
    if config.policy_checks:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        _warn_about_example_sender(service, config)
    return retained, service


def _add_monitoring(
    app: cdk.App, config: Config, place: cdk.Environment, retained: RetainedStack, service: ServiceStack
) -> None:
    from infra.stacks.monitoring import MonitoringStack  # noqa: PLC0415 - takes seconds that a local deployment saves

    MonitoringStack(
        app,
        f"{config.prefix}-monitoring",
        config=config,
        env=place,
        retained=retained,
        service=service,
        description=f"Trimtab {config.env}: dashboard and alarms",
    )


def _warn_about_example_sender(service: ServiceStack, config: Config) -> None:
    if config.mail_sender == EXAMPLE_SENDER:
        text = f"mail_sender is {EXAMPLE_SENDER}: set an address that SES has verified, or no mail is sent"
        cdk.Annotations.of(service).add_warning_v2("trimtab:mail-sender", text)


def require_account(config: Config, given: str | None) -> None:
    """Raise ConfigError if the credentials belong to another account than that of the environment.

    `given` is `CDK_DEFAULT_ACCOUNT`, which the CDK command line sets to the account of the credentials.
    """
    if config.account and given and given != config.account:
        raise ConfigError(
            f"the credentials belong to account {given}, but infra/environments/{config.env}.toml names account "
            f"{config.account}; use credentials of {config.account}, or choose another environment with -c env="
        )


def main() -> None:
    """Synthesise the environment given by `-c env=`; exit with the error of an environment that cannot be deployed."""
    app = cdk.App()
    try:
        config = load(*(app.node.try_get_context(name) or "" for name in ("env", "bundle", "endpoint")))
        require_account(config, os.environ.get("CDK_DEFAULT_ACCOUNT"))
    except ValueError as error:
        sys.exit(str(error))
    build(app, config)
    app.synth()


if __name__ == "__main__":
    main()
