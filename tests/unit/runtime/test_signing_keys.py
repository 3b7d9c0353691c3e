"""The issuer's keys: fetched rarely, rotated without a restart, and not lost when the issuer is away."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.tokens import Key, ec_key, jwks, rsa_key
from tests.unit.samples import NOW
from trimtab.kernel.errors import Unauthenticated, Unavailable
from trimtab.runtime.auth import AuthSettings, KeySet

SECOND = timedelta(seconds=1)
RSA, EC = rsa_key(), ec_key()


@dataclass
class Issuer:
    """An issuer that can rotate keys and fail, and counts the fetches."""

    document: str = field(default_factory=lambda: jwks(RSA))
    now: datetime = NOW
    fetches: int = 0
    is_away: bool = False

    def keys(self) -> KeySet:
        """Return a key set that fetches from the issuer."""
        return KeySet(self.fetch, lambda: self.now)

    def fetch(self) -> str:
        """The document."""
        self.fetches += 1
        if self.is_away:
            raise OSError("no route to host")
        return self.document

    def publishes(self, *keys: Key) -> None:
        """Rotate the keys."""
        self.document = jwks(*keys)


def test_keys_are_fetched_on_first_use_and_kept_for_ten_minutes() -> None:
    issuer = Issuer()
    keys = issuer.keys()
    assert issuer.fetches == 0
    for seconds in (0, 1, 599):
        issuer.now = NOW + seconds * SECOND
        assert keys.get("rsa-1").key_id == "rsa-1"
    assert issuer.fetches == 1
    issuer.now = NOW + 600 * SECOND
    assert keys.get("rsa-1")
    assert issuer.fetches == 2


def test_a_new_key_is_found_without_a_restart_and_the_old_one_ends() -> None:
    issuer = Issuer()
    keys = issuer.keys()
    assert keys.get("rsa-1")
    issuer.publishes(EC)
    issuer.now += 10 * SECOND
    assert keys.get("ec-1").key_id == "ec-1"
    with pytest.raises(Unauthenticated):
        keys.get("rsa-1")


def test_unknown_keys_cost_at_most_one_fetch_every_ten_seconds() -> None:
    issuer = Issuer()
    keys = issuer.keys()
    for tenths in range(301):
        issuer.now = NOW + tenths * SECOND / 10
        with pytest.raises(Unauthenticated, match="does not publish"):
            keys.get(f"unknown-{tenths}")
    assert issuer.fetches == 4


def test_an_issuer_that_is_away_from_the_start_is_asked_at_most_every_ten_seconds() -> None:
    issuer = Issuer(is_away=True)
    keys = issuer.keys()
    for second in range(10):
        issuer.now = NOW + second * SECOND
        with pytest.raises(Unavailable):
            keys.get("rsa-1")
    assert issuer.fetches == 1, "each request waits for the time-out of another fetch"


def test_the_keys_are_found_once_the_issuer_is_back() -> None:
    issuer = Issuer(is_away=True)
    keys = issuer.keys()
    with pytest.raises(Unavailable) as refused:
        keys.get("rsa-1")
    assert refused.value.retry_after_seconds
    issuer.is_away, issuer.now = False, NOW + 10 * SECOND
    assert keys.get("rsa-1")


@pytest.mark.parametrize("document", ["", "{", "[]", "null", "{}", '{"keys": []}', '{"keys": [{"kty": "??"}]}'])
def test_known_keys_go_on_being_used_when_the_document_is_broken(document: str) -> None:
    issuer = Issuer()
    keys = issuer.keys()
    assert keys.get("rsa-1")
    issuer.document = document
    issuer.now += 600 * SECOND
    assert keys.get("rsa-1")
    assert issuer.fetches == 2


def test_known_keys_go_on_being_used_when_the_issuer_is_away() -> None:
    issuer = Issuer()
    keys = issuer.keys()
    assert keys.get("rsa-1")
    issuer.is_away = True
    issuer.now += timedelta(days=1)
    assert keys.get("rsa-1")
    with pytest.raises(Unauthenticated):
        keys.get("unknown")


def test_only_keys_of_the_two_algorithms_that_name_themselves_are_used() -> None:
    nameless = {name: value for name, value in EC.jwk().items() if name != "kid"}
    others = [{"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}, {**RSA.jwk(), "kid": "512", "alg": "RS512"}, nameless]
    keys = Issuer(json.dumps({"keys": [*others, {"kty": "??"}, RSA.jwk()]})).keys()
    assert keys.get("rsa-1")
    for kid in ("oct", "512", ""):
        with pytest.raises(Unauthenticated):
            keys.get(kid)


BOUND: dict[str, Any] = {"issuer": "https://i.example", "audience": "trimtab", "jwks_parameter": "/jwks"}


@pytest.mark.parametrize(
    "change",
    [
        {"jwks_parameter": None},
        {"jwks_url": "https://i.example/jwks"},
        {"jwks_parameter": None, "jwks_url": "http://i.example/jwks"},
        {"jwks_parameter": None, "jwks_url": "file:///etc/passwd"},
        {"audience": None},
        {"issuer": None},
        {"algorithms": ["HS256"]},
    ],
)
def test_settings_that_would_believe_too_much_stop_the_function(change: dict[str, Any]) -> None:
    assert AuthSettings.model_validate(BOUND)
    with pytest.raises(ValidationError):
        AuthSettings.model_validate(BOUND | change)
