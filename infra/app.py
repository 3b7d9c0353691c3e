"""The CDK app: `cdk synth -c env=prod`. The synthesis needs no AWS account."""

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.config import ENVIRONMENTS, EXAMPLE_SENDER, Config, load
from infra.stacks.retained import RetainedStack
from infra.stacks.service import ServiceStack


def build(app: cdk.App, config: Config) -> tuple[RetainedStack, ServiceStack]:
    """Add the two stacks of an environment. Stacks name no account; a deployment uses the given credentials."""
    retained = RetainedStack(
        app, f"{config.prefix}-retained", config=config, description=f"Trimtab {config.env}: data, queues, addresses"
    )
    service = ServiceStack(
        app,
        f"{config.prefix}-service",
        config=config,
        retained=retained,
        description=f"Trimtab {config.env}: functions and API",
    )
    cdk.Tags.of(app).add("application", "trimtab")
    cdk.Tags.of(app).add("environment", config.env)
    if config.policy_checks:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        _warn_about_example_sender(service, config)
    return retained, service


def _warn_about_example_sender(service: ServiceStack, config: Config) -> None:
    if config.mail_sender == EXAMPLE_SENDER:
        text = f"mail_sender is {EXAMPLE_SENDER}: set an address that SES has verified, or no mail is sent"
        cdk.Annotations.of(service).add_warning_v2("trimtab:mail-sender", text)


def main() -> None:
    """Synthesise the environment given by `-c env=`; without `env`, exit with the list of environments."""
    app = cdk.App()
    try:
        config = load(*(app.node.try_get_context(name) or "" for name in ("env", "bundle", "endpoint")))
    except ValueError as error:
        sys.exit(f"{error}. Choose with -c env={'|'.join(ENVIRONMENTS)}")
    build(app, config)
    app.synth()


if __name__ == "__main__":
    main()
