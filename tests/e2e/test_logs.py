"""The logs of all functions in this end-to-end run have no token, address or secret."""

import pytest

from infra.local import demo
from tests.e2e.conftest import System
from tests.e2e.function_logs import log_lines
from tests.support.private_data import private_lines

ADA, NAME = "ada@example.com", "Retirement of Ada Lovelace"


@pytest.mark.last
def test_no_log_line_of_the_run_has_a_token_an_address_or_a_name(system: System) -> None:
    client = system.client(tenant="logged")
    created = client.post("/portfolios", {"user_id": ADA, "name": NAME, "allocation": {"stocks": 100}})
    path = f"/portfolios/{demo.expect(created, 201)['portfolio_id']}"
    demo.expect(client.call("PUT", f"{path}/contacts", {"emails": [ADA]}), 200)
    assert client.post("/portfolio", {"user_id": f"{ADA}\n", NAME: ADA}).status == 400
    for token in ("Bearer", system.issuer.token(seconds=-3600)):
        assert system.anonymous(token).get(f"/portfolios?user_id={ADA}").status == 401

    lines = demo.poll(
        lambda: list(log_lines(system)),
        lambda found: sum(path.rpartition("/")[2] in line for line in found) > 0,
        "the requests of this test were not logged",
        120,
    )

    assert private_lines(lines, ADA, "Lovelace") == {}
