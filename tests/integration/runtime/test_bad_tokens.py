"""Bad tokens on every route: refused alike, and nothing changes; so one system does for all of them."""

from collections.abc import Iterator

import pytest

from tests.integration.runtime.test_identity import ROUTES, filled, send
from tests.support.system import System, in_process_system
from tests.support.tokens import bad_tokens, publish


@pytest.fixture(scope="module")
def guarded() -> Iterator[System]:
    """A system with all that a route names by id, and the keys of the issuer."""
    with in_process_system() as system:
        publish()
        filled(system)
        yield system


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ROUTES])
def test_every_bad_token_is_refused_on_every_route(guarded: System, method: str, path: str) -> None:
    before, answers = guarded.items(), {}
    for name, header in bad_tokens().items():
        headers = {} if header is None else {"Authorization": header}
        answer = send(guarded, method, path, authorizer=None, headers=headers)
        answers[name] = (answer.status, answer.headers["Content-Type"], answer.headers.get("WWW-Authenticate"))
        assert answer.json["type"] in {"urn:trimtab:problem:invalid_token", "urn:trimtab:problem:missing_token"}, name
    assert set(answers.values()) == {(401, "application/problem+json", "Bearer")}, answers
    assert guarded.items() == before
