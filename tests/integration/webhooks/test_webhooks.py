"""Webhooks through the real functions: created, read without their secret, changed, tested and deleted."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from standardwebhooks import Webhook as Signer

from functions.webhooks_api import handler as webhooks_function
from tests.support.system import System, authorized, forget_cached
from tests.support.trading import refused
from tests.support.webhooks import Receiver, create_webhook, receiving
from trimtab.webhooks.domain import webhooks as domain
from trimtab.webhooks.service import webhooks as service

PUBLIC = "https://hooks.example.com/trimtab"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Provide a receiver."""
    with receiving() as fresh:
        yield fresh


def test_a_secret_is_shown_at_creation_and_at_rotation_only(system: System) -> None:
    created = create_webhook(system, PUBLIC, "trade.recorded", "trade.recorded")
    home = f"/webhooks/{created['webhook_id']}"
    secret = created.pop("secret")
    assert secret.startswith("whsec_")
    assert created["types"] == ["trade.recorded"]
    listed = system.http("GET", "/webhooks")
    assert listed.json["items"] == [system.http("GET", home).json] == [created]
    rotated = system.http("POST", f"{home}/rotate").json
    assert rotated["secret"] != secret
    assert rotated["previous_secret_until"] > rotated["updated_at"]
    changed = system.http("PATCH", home, {"types": ["*"], "url": PUBLIC + "/2"})
    assert (changed.json["types"], changed.json["url"]) == (["*"], PUBLIC + "/2")
    for answer in (changed, system.http("GET", home), system.http("GET", "/webhooks")):
        assert "whsec_" not in answer.text


def test_a_repeated_creation_returns_the_same_webhook_and_another_body_is_refused(system: System) -> None:
    first = create_webhook(system, PUBLIC, key="k1")
    assert create_webhook(system, PUBLIC, key="k1") == first
    body = {"url": PUBLIC, "types": ["trade.recorded"]}
    refused(system.http("POST", "/webhooks", body, headers={"Idempotency-Key": "k1"}), 409, "request_id_reused")
    assert create_webhook(system, PUBLIC)["webhook_id"] != first["webhook_id"]


@pytest.mark.parametrize(
    "body",
    [
        {"url": PUBLIC},
        {"url": PUBLIC, "types": []},
        {"url": PUBLIC, "types": ["portfolio.*"]},
        {"url": PUBLIC, "types": "*"},
        {"url": PUBLIC, "types": ["*"], "secret": "whsec_x"},
        {"url": "http://hooks.example.com/", "types": ["*"]},
        {"url": "https://169.254.169.254/latest/meta-data", "types": ["*"]},
        {"url": "", "types": ["*"]},
        {"url": 5, "types": ["*"]},
    ],
)
def test_a_bad_webhook_is_refused_with_the_field(system: System, body: dict[str, Any]) -> None:
    with mock.patch.dict("os.environ", ALLOW_LOCAL_WEBHOOKS="false"):
        forget_cached()
        answer = system.http("POST", "/webhooks", body)
    assert answer.status == 400
    assert answer.json["errors"][0]["field"].split(".")[0] in {"url", "types", "secret"}
    assert system.http("GET", "/webhooks").json["items"] == []


def test_a_change_to_a_bad_url_is_refused(system: System) -> None:
    home = f"/webhooks/{create_webhook(system, PUBLIC)['webhook_id']}"
    for body in ({"url": "https://10.0.0.1/"}, {"types": ["x"]}, {"enabled": 0}, {"status": "ENABLED"}):
        assert system.http("PATCH", home, body).status == 400, body
    assert system.http("PATCH", home, {}).json["url"] == PUBLIC


def test_webhooks_of_another_tenant_do_not_exist_and_end_users_have_none(system: System) -> None:
    created = create_webhook(system, PUBLIC)
    home = f"/webhooks/{created['webhook_id']}"
    acme, user = authorized("acme"), authorized(user_id="1")
    assert system.http("GET", "/webhooks", authorizer=acme).json["items"] == []
    requests: list[tuple[str, str, Any]] = [
        *(("GET", home, None), ("PATCH", home, {}), ("POST", f"{home}/rotate", None), ("POST", f"{home}/test", None)),
        *(("GET", f"{home}/deliveries", None), ("POST", f"{home}/deliveries/1/redeliver", None)),
    ]
    for method, path, body in requests:
        refused(system.http(method, path, body, authorizer=acme), 404, "not_found")
        refused(system.http(method, path, body, authorizer=user), 403, "not_for_end_users")
    assert system.http("DELETE", home, authorizer=acme).status == 204
    assert system.http("GET", home).status == 200


def test_a_deleted_webhook_is_gone_and_deleting_again_is_no_error(system: System) -> None:
    home = f"/webhooks/{create_webhook(system, PUBLIC)['webhook_id']}"
    assert [system.http("DELETE", home).status for _ in range(2)] == [204, 204]
    refused(system.http("GET", home), 404, "not_found")


def test_a_tenant_has_a_limited_number_of_webhooks(system: System) -> None:
    with mock.patch.object(service, "MAX_WEBHOOKS", 2):
        for key in ("a", "b"):
            create_webhook(system, PUBLIC, key=key)
        body = {"url": PUBLIC, "types": ["*"]}
        refused(system.http("POST", "/webhooks", body, headers={"Idempotency-Key": "c"}), 409, "too_many_webhooks")
        create_webhook(system, PUBLIC, key="a")
    assert domain.MAX_WEBHOOKS == 20


def test_a_test_sends_a_signed_event_at_once_and_tells_the_outcome(system: System, receiver: Receiver) -> None:
    created = create_webhook(system, receiver.url)
    path = f"/webhooks/{created['webhook_id']}/test"
    outcome = system.http("POST", path).json
    assert (outcome["status"], outcome["error"]) == (204, None)
    (request,) = receiver.requests
    event = Signer(created["secret"]).verify(request.body, request.headers)
    assert (event["type"], event["data"]) == ("webhook.tested", {"webhook_id": created["webhook_id"]})
    receiver.answer = lambda _: 302
    assert system.http("POST", path).json["status"] == 302
    receiver.close()
    refused_connection = system.http("POST", path).json
    assert refused_connection["status"] is None
    assert "ConnectionRefusedError" in refused_connection["error"]
    assert webhooks_function.webhooks().store.progress("demo", created["webhook_id"]) is not None
