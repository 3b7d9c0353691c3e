"""Commands of the operator for stale portfolios, attention and halts: over the API, with its audit records."""

from decimal import Decimal
from unittest import mock

import pytest

from tests.support.balancing import Balancing
from tests.support.operator import OPERATOR_SCOPES, Operator
from trimtab.portfolios.execution.paper import PaperBroker

from .test_operators import nothing_can_be_reversed


@pytest.fixture
def operator(mine: Balancing) -> Operator:
    """The command line of an operator of the tenant."""
    return Operator(mine.system)


@pytest.fixture
def stale(mine: Balancing, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a portfolio whose fills cannot be reversed."""
    nothing_can_be_reversed(monkeypatch)
    mine.move(AAPL=140)
    return str(mine.now()["portfolio_id"])


def test_a_stale_portfolio_is_listed_with_reason_and_remedy(operator: Operator, stale: str) -> None:
    for name in ("stale", "attention"):
        result = operator.run(name, "list")
        assert result.exit_code == 1
        assert stale in result.stdout
        assert "resolve" in result.stdout
    (row,) = operator.rows("stale", "list")
    assert (row["portfolio_id"], row["code"]) == (stale, "stale")


def test_without_stale_portfolios_the_exit_code_is_0(operator: Operator) -> None:
    result = operator.run("stale", "list")
    assert (result.exit_code, result.stdout) == (0, "no portfolio needs a person\n")


def test_a_portfolio_is_resolved_with_stated_holdings_and_cash(mine: Balancing, operator: Operator, stale: str) -> None:
    stated = ("--holding", "AAPL=7", "--holding", "MSFT=3.5", "--cash", "12.34", "--reason", "Statement of today.")
    (row,) = operator.rows("resolve", stale, *stated)
    assert (row["status"], row["cash"]) == ("ACTIVE", "12.34")
    assert {symbol: mine.quantities()[symbol] for symbol in ("AAPL", "MSFT")} == {
        "AAPL": Decimal(7),
        "MSFT": Decimal("3.5"),
    }
    assert operator.run("stale", "list").exit_code == 0


def test_a_portfolio_is_resolved_with_what_the_broker_reports(mine: Balancing, operator: Operator, stale: str) -> None:
    positions = {"AAPL": Decimal("41.5"), "MSFT": Decimal(52)}
    cash = operator.open().api.get(f"portfolios/{stale}/broker").json["cash"]
    with mock.patch.object(PaperBroker, "positions", return_value=positions):
        (row,) = operator.rows("resolve", stale, "--from-broker", "--reason", "As the broker reports.")
    assert (row["status"], row["cash"]) == ("ACTIVE", cash)
    assert mine.quantities() == positions


def test_an_invalid_holding_is_refused_with_the_field(operator: Operator, stale: str) -> None:
    result = operator.run("resolve", stale, "--holding", "AAPL=-1", "--reason", "Typing error.")
    assert result.exit_code == 1
    assert "400: " in result.stderr
    assert "holdings.AAPL: " in result.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--cash", "x"], "--cash: 'x' is not a number."),
        (["--holding", "AAPL"], "--holding SYMBOL=QUANTITY: '' is not a number."),
        (["--from-broker", "--cash", "1"], "--from-broker excludes --holding and --cash."),
    ],
)
def test_a_wrong_use_of_resolve_exits_with_2(operator: Operator, options: list[str], text: str) -> None:
    result = operator.run("resolve", "p", "--reason", "because", *options)
    assert result.exit_code == 2
    assert text in result.stderr


def test_a_refusal_of_the_api_exits_with_1_and_its_text(operator: Operator, mine: Balancing) -> None:
    result = operator.run("resolve", mine.now()["portfolio_id"], "--reason", "because")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: 409: ")


def test_a_halt_stops_the_tenant_until_it_is_resumed(operator: Operator) -> None:
    (halt,) = operator.rows("halt", "--reason", "Wrong fills.")
    assert (halt["scope"], halt["reason"]) == ("tenant", "Wrong fills.")
    result = operator.run("resume")
    assert (result.exit_code, result.stdout) == (0, "no halt is active\n")


def test_a_halt_of_all_tenants_needs_the_scope_of_the_platform(operator: Operator) -> None:
    assert operator.run("halt", "--all-tenants", "--reason", "Broken.").exit_code == 1
    operator.scope = f"{OPERATOR_SCOPES} market:write"
    (halt,) = operator.rows("halt", "--all-tenants", "--reason", "Broken.")
    assert halt["scope"] == "all_tenants"
    assert operator.run("resume").stdout.count("all_tenants") == 1
    assert operator.run("resume", "--all-tenants").stdout == "no halt is active\n"
