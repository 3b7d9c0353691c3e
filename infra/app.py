"""The CDK app: `cdk synth -c env=prod`. It needs no AWS account to synthesise."""

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.config import ENVIRONMENTS, EXAMPLE_SENDER, Config, load
from infra.data_stack import DataStack
from infra.service_stack import ServiceStack


def build(app: cdk.App, config: Config) -> tuple[DataStack, ServiceStack]:
    """The two stacks of one environment. Stacks name no account: each deploy goes to where its credentials point."""
    data = DataStack(app, f"{config.prefix}-data", config=config, description=f"Trimtab {config.env}: data")
    service = ServiceStack(
        app,
        f"{config.prefix}-service",
        config=config,
        data=data,
        description=f"Trimtab {config.env}: functions and API",
    )
    cdk.Tags.of(app).add("application", "trimtab")
    cdk.Tags.of(app).add("environment", config.env)
    if config.policy_checks:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        _warn_of_what_is_not_set(service, config)
    return data, service


def _warn_of_what_is_not_set(service: ServiceStack, config: Config) -> None:
    if config.mail_sender == EXAMPLE_SENDER:
        text = f"mail_sender is {EXAMPLE_SENDER}: set an address that SES has verified, or no mail goes out"
        cdk.Annotations.of(service).add_warning_v2("trimtab:mail-sender", text)


def main() -> None:
    """Synthesises the environment of `-c env=`; without one it says which there are."""
    app = cdk.App()
    try:
        config = load(*(app.node.try_get_context(name) or "" for name in ("env", "bundle", "endpoint")))
    except ValueError as error:
        sys.exit(f"{error}. Choose with -c env={'|'.join(ENVIRONMENTS)}")
    build(app, config)
    app.synth()


if __name__ == "__main__":
    main()
