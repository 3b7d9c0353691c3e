"""Access tokens of a Cognito pool: a machine acts for all users of its tenant, a person for that person alone."""

import time
from typing import Any

import jwt
import pytest

from infra.settings import PEOPLE_SCOPES
from tests.support.tokens import ec_key, jwks
from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import Forbidden, Unauthenticated
from trimtab.runtime.auth import AuthSettings, Claims, KeySet, Verifier

POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"
PERSON = "c2a5d4f4-90c1-70e6-1b2e-3f5d6a7b8c9d"
SETTINGS = AuthSettings(
    issuer=POOL,
    client_ids=("machine", "people"),
    jwks_url=f"{POOL}/.well-known/jwks.json",
    scope_prefix="trimtab/",
    claims=Claims(user="username"),
    client_tenants={"machine": "acme", "people": "acme"},
)


def caller_of(**claims: Any) -> Caller:
    """Return the caller of an access token with the claims that Cognito sets."""
    now = int(time.time())
    common = {"iss": POOL, "token_use": "access", "version": 2, "iat": now, "exp": now + 3600}
    token = jwt.encode({**common, **claims}, ec_key().private, algorithm="ES256", headers={"kid": ec_key().kid})
    caller, _ = Verifier(SETTINGS, KeySet(lambda: jwks(ec_key()))).verify(f"Bearer {token}")
    return caller


def test_the_token_of_a_person_acts_for_the_username_that_cognito_assigned() -> None:
    scopes = " ".join(["openid", *(f"trimtab/{name}" for name in PEOPLE_SCOPES)])
    caller = caller_of(sub=PERSON, username=PERSON, client_id="people", scope=scopes)
    assert (caller.tenant_id, caller.user_id, caller.scopes) == ("acme", PERSON, frozenset(PEOPLE_SCOPES))
    for name in PEOPLE_SCOPES:
        caller.require(name)


def test_the_token_of_a_machine_acts_for_its_tenant_with_the_scopes_that_it_has() -> None:
    caller = caller_of(sub="machine", client_id="machine", scope="trimtab/portfolios:read")
    assert (caller.tenant_id, caller.user_id, caller.scopes) == ("acme", None, frozenset({"portfolios:read"}))
    with pytest.raises(Forbidden):
        caller.require("operator")


def test_a_sign_in_without_the_scopes_of_the_api_allows_nothing() -> None:
    caller = caller_of(sub=PERSON, username=PERSON, client_id="people", scope="aws.cognito.signin.user.admin")
    assert caller.scopes == frozenset()


def test_an_id_token_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="unknown client"):
        caller_of(sub=PERSON, aud="people", token_use="id", email="ada@example.com")
