"""The function for clients of earlier systems: deployed only where configured, with the grants of its APIs."""

import json
from collections.abc import Callable
from dataclasses import replace

from infra.config import Config
from infra.settings import host
from tests.infra.conftest import (
    DEVELOPMENT,
    LOCAL,
    PRODUCTION,
    Synthesised,
    functions_of,
    statements_of,
    strings,
    variables_of,
)


def test_the_function_is_deployed_where_the_config_says_so(
    production: Synthesised, synthesised: Callable[[Config], Synthesised]
) -> None:
    without = functions_of(synthesised(replace(DEVELOPMENT, target=host())))

    assert (PRODUCTION.compat, LOCAL.compat) == (False, True)
    assert "compat_api" in functions_of(production)
    assert "compat_api" not in without


def test_the_function_reaches_the_tables_and_queues_of_its_apis_and_deletes_nothing(production: Synthesised) -> None:
    statements = statements_of(production, functions_of(production)["compat_api"])
    actions = [action for statement in statements for action in strings(statement["Action"])]

    assert set(production.names_in([statement["Resource"] for statement in statements])) == {
        *("Portfolios", "Market", "Betting"),
        *("RebalanceRequests", "Recalculations"),
    }
    assert not [action for action in actions if "Delete" in action]


def test_links_begin_with_the_address_of_the_api(production: Synthesised) -> None:
    assert "execute-api" in json.dumps(variables_of(production, "compat_api")["PUBLIC_URL"])
