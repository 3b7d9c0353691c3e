"""Commands for portfolios that need a person, and for halts, over the HTTP API."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from infra.operator.deployment import DeploymentOptions
from infra.operator.output import answer, exit_if, json_option, read_pages, show

_reason = click.option("--reason", required=True, help="The reason, for the audit record: 3 to 500 characters.")
_scope = click.option("--all-tenants", is_flag=True, help="All tenants; the token needs the scope `market:write`, too.")


@click.group()
def stale() -> None:
    """Portfolios that refuse trades until their state is resolved."""


@stale.command("list")
@json_option
@click.pass_obj
def list_stale(options: DeploymentOptions, /, *, as_json: bool) -> None:
    """List the stale portfolios of the token's tenant. Exit code 1 if there are any."""
    _show_reasons(options, "portfolios?status=STALE", as_json)


@click.group()
def attention() -> None:
    """Portfolios that need a person."""


@attention.command("list")
@json_option
@click.pass_obj
def list_attention(options: DeploymentOptions, /, *, as_json: bool) -> None:
    """List the reasons for which portfolios of the token's tenant need a person. Exit code 1 if there are any."""
    _show_reasons(options, "portfolios?attention=true", as_json)


def _show_reasons(options: DeploymentOptions, path: str, as_json: bool) -> None:
    rows = [
        {"portfolio_id": portfolio["portfolio_id"], "user_id": portfolio["user_id"], **entry}
        for portfolio in read_pages(options.open().api, path)
        for entry in portfolio["attention"]
    ]
    show(rows, as_json=as_json, empty="no portfolio needs a person")
    exit_if(bool(rows))


@click.command()
@click.argument("portfolio_id")
@click.option("--holding", "holdings", multiple=True, metavar="SYMBOL=QUANTITY", help="An actual quantity; repeatable.")
@click.option("--cash", help="The actual cash.")
@click.option("--from-broker", is_flag=True, help="Take holdings and cash as the broker reports them.")
@_reason
@json_option
@click.pass_obj
def resolve(
    options: DeploymentOptions,
    /,
    *,
    portfolio_id: str,
    holdings: Sequence[str],
    cash: str | None,
    from_broker: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Make a stale portfolio active again with its actual holdings and cash."""
    if from_broker and (holdings or cash):
        raise click.UsageError("--from-broker excludes --holding and --cash.")
    api = options.open().api
    body: dict[str, Any] = {"reason": reason, "holdings": _quantities(holdings)}
    if from_broker:
        account = answer(api.get(f"portfolios/{portfolio_id}/broker"))
        body |= {"holdings": account["positions"], "cash": account["cash"]}
    elif cash is not None:
        body["cash"] = _number(cash, "--cash")
    portfolio = answer(api.post(f"portfolios/{portfolio_id}/resolve", body))
    members = ("portfolio_id", "status", "cash")
    show([{name: portfolio[name] for name in members}], as_json=as_json, empty="")


def _quantities(pairs: Sequence[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    return {symbol: _number(quantity, "--holding SYMBOL=QUANTITY") for symbol, _, quantity in split}


def _number(text: str, option: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise click.UsageError(f"{option}: {text!r} is not a number.")
    return text


@click.command()
@_scope
@_reason
@json_option
@click.pass_obj
def halt(options: DeploymentOptions, /, *, all_tenants: bool, reason: str, as_json: bool) -> None:
    """Stop sending orders of the token's tenant, or of all tenants."""
    body = {"scope": _scope_name(all_tenants), "reason": reason}
    halts = answer(options.open().api.call("PUT", "halt", body))["halts"]
    show(halts, as_json=as_json, empty="no halt is active")


@click.command()
@_scope
@json_option
@click.pass_obj
def resume(options: DeploymentOptions, /, *, all_tenants: bool, as_json: bool) -> None:
    """Allow orders to be sent again, and list the halts that are still active."""
    api = options.open().api
    answer(api.call("DELETE", f"halt?scope={_scope_name(all_tenants)}"))
    show(answer(api.get("halt"))["halts"], as_json=as_json, empty="no halt is active")


def _scope_name(all_tenants: bool) -> str:
    return "all_tenants" if all_tenants else "tenant"
