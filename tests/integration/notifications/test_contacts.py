"""Contacts through the real functions."""

from typing import Any

import pytest

from tests.support.system import System


@pytest.mark.parametrize(
    "emails",
    [
        *(["ada"], ["ada@"], ["a b@example.com"], ["ada@example.com\nBcc: x@y.z"], ["a@b"], [5], "ada@example.com"),
        [f"a{number}@example.com" for number in range(11)],
    ],
)
def test_bad_addresses_are_refused(system: System, emails: Any) -> None:
    home = f"/portfolios/{system.portfolio()['portfolio_id']}/contacts"
    assert system.http("PUT", home, {"emails": emails}).status == 400
    assert system.http("GET", home).json["emails"] == []
