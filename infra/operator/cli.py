"""The command line for operators: the options that choose a deployment, and the commands."""

from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.environment import LocalError
from infra.operator.backfill import BackfillFailed
from infra.operator.deployment import DeploymentOptions
from infra.operator.event_commands import events, keys
from infra.operator.letter_commands import dead_letters
from infra.operator.portfolio_commands import attention, halt, resolve, resume, stale
from infra.operator.repair_commands import bars, sums
from infra.operator.state_commands import circuits, feeds, pending
from trimtab.kernel.errors import Refusal


class Commands(click.Group):
    """A group whose commands end with one line, not with a traceback, if AWS or the local stack refuses."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit code 1 after an error of AWS or of the local stack."""
        try:
            return super().invoke(ctx)
        except (ClientError, BotoCoreError, LocalError, BackfillFailed) as error:
            raise click.ClickException(str(error)) from None
        except Refusal as refusal:
            raise click.ClickException(refusal.detail) from None


@click.group(cls=Commands)
@click.option("--local", is_flag=True, help="Act on the running local stack.")
@click.option("--env", help="Act on this environment on AWS, with the usual AWS credentials.")
@click.option("--profile", help="The AWS profile. Default: AWS_PROFILE.")
@click.option("--region", help="The AWS region. Default: that of the profile.")
@click.option("--token", envvar="TRIMTAB_TOKEN", help="The token for the API. Default: TRIMTAB_TOKEN.")
@click.option("--as-tenant", "tenant", default="demo", show_default=True, help="The tenant of the token with --local.")
@click.pass_context
def trimtab(ctx: click.Context, /, **options: Any) -> None:
    """Operate a deployment of Trimtab.

    Exit codes: 0 done and nothing wrong, 1 something wrong was found or a request failed, 2 wrong use.
    """
    if ctx.obj is None:
        ctx.obj = DeploymentOptions(**options)


for command in (
    *(dead_letters, stale, attention, resolve, halt, resume, pending, circuits, feeds),
    *(bars, sums, events, keys),
):
    trimtab.add_command(command)
