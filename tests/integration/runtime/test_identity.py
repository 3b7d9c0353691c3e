"""Authorization: every route requires a scope, and resources of a tenant do not exist for other tenants."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from functions.authorizer import handler as authorizer_function
from tests.support.moto_state import commits, snapshot
from tests.support.system import ALL_SCOPES, AUTH, LambdaContext, System, authorized, forget_cached, payload
from tests.support.tokens import bad_tokens, bearer, ec_key, mint, publish, rsa_key
from trimtab.betting.domain.orders import derive_order_id
from trimtab.kernel.caller import PLATFORM_SCOPES
from trimtab.kernel.ids import derive_id
from trimtab.portfolios.portfolio.model import portfolio_id_of
from trimtab.portfolios.rebalancing.model import rebalance_id_of

DOCUMENT = json.loads((Path(__file__).parents[3] / "functions/platform_api/generated/openapi.json").read_text())
TARGET = {"stocks": 60, "bonds": 30, "gold": 10}
WEIGHTS = {"stocks": 70, "bonds": 20, "gold": 10}
TRADE = {"ref_id": "t1", "side": "BUY", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "amount": 10}
WEBHOOK = {"url": "http://127.0.0.1:9/", "types": ["*"]}
BET = {"user_id": "1", "market_id": "match", "selection_id": "home", "side": "BACK", "stake": 10, "odds": 2}
ESTIMATE = {"implied_probability": "0.5", "expected_value": 0, "momentum": 0}
FILES = {
    "/portfolios/{portfolio_id}/trades/import": (
        "ref_id,side,security_type,symbol,quantity,amount\nt3,BUY,stock,AAPL,1,10\n"
    ),
    "/portfolios/{portfolio_id}/cash/import": "ref_id,type,amount\nc3,deposit,10\n",
}
QUOTED_AT = "2024-01-01T00:00:00Z"
CANCEL = "/portfolios/{portfolio_id}/rebalances/{rebalance_id}/cancel"
RESOLVE = "/portfolios/{portfolio_id}/resolve"
RELEASE = "/quotes/{symbol}/release"
QUARANTINE = "/portfolios/{portfolio_id}/quarantine/{symbol}"
FILL = "/portfolios/{portfolio_id}/fills/{ref_id}"
SPLIT = "/assets/{symbol}/splits/{effective_on}"
EVERY_SCOPE = f"{ALL_SCOPES} operator"
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/portfolio"): {"user_id": "1", "allocation": TARGET},
    ("POST", "/portfolios"): {"user_id": "1", "allocation": TARGET},
    ("PATCH", "/portfolios/{portfolio_id}"): {"cooldown_seconds": 60},
    ("PUT", "/portfolios/{portfolio_id}/allocation"): {"allocation": {"cash": 100}},
    ("POST", "/portfolios/{portfolio_id}/rebalances/preview"): {"new_allocation": WEIGHTS},
    ("POST", "/portfolios/{portfolio_id}/trades"): {**TRADE, "ref_id": "t2"},
    ("PATCH", "/portfolios/{portfolio_id}/trades/{ref_id}"): {"quantity": 2},
    ("POST", "/portfolios/{portfolio_id}/cash"): {"ref_id": "c1", "type": "deposit", "amount": 50},
    ("PATCH", "/portfolios/{portfolio_id}/cash/{ref_id}"): {"amount": 60},
    ("PATCH", FILL): {"fees": 1, "reason": "The statement says so."},
    ("PUT", "/portfolios/{portfolio_id}/cash-tracking"): {"cash_tracking": "margin"},
    ("PUT", "/assets/{symbol}"): {"name": "Apple Inc.", "exchange": "XNAS"},
    ("PUT", "/assets/{symbol}/splits/{effective_on}"): {"ratio": 4},
    ("PATCH", SPLIT): {"ratio": 2, "reason": "A typing error."},
    ("PUT", "/portfolios/{portfolio_id}/alert-rules"): {"rules": [{"rule_id": "stale", "kind": "stale"}]},
    ("PUT", "/portfolios/{portfolio_id}/contacts"): {"emails": ["ada@example.com"]},
    ("POST", "/portfolios/{portfolio_id}/links"): {"resource": "drift"},
    ("POST", "/portfolios/{portfolio_id}/reports"): {},
    ("POST", "/quotes"): {"quotes": [{"symbol": "AAPL", "price": 1, "as_of": QUOTED_AT}]},
    ("POST", "/rebalance"): {"user_id": "1", "new_allocation": WEIGHTS, "request_id": "k"},
    ("POST", "/portfolios/{portfolio_id}/rebalances"): {"request_id": "another-run"},
    ("POST", "/portfolios/{portfolio_id}/withdrawals"): {"amount": 1, "request_id": "pay"},
    ("POST", RELEASE): {"price": 1},
    ("POST", RESOLVE): {"reason": "The broker says so."},
    ("PUT", "/halt"): {"reason": "The feed looks wrong."},
}
BODIES |= {
    ("POST", "/webhooks"): WEBHOOK,
    ("PATCH", "/webhooks/{webhook_id}"): {"enabled": True},
    ("POST", "/orders"): {**BET, "selection_id": "away"},
    ("POST", "/orders/{order_id}/settle"): {"won": True},
    ("POST", "/insights"): {**ESTIMATE, "market_id": "match", "selection_id": "home"},
    ("POST", "/markets/{market_id}/settle"): {"winners": ["home"]},
    ("POST", "/markets/{market_id}/resettle"): {"winners": ["home"], "reason": "A wrong result."},
    ("POST", "/orders/{order_id}/resettle"): {"won": False, "reason": "A wrong result."},
}
QUERIES = {
    "/quotes/{symbol}": {"as_of": QUOTED_AT, "reason": "A wrong price."},
    QUARANTINE: {"reason": "It trades again."},
    SPLIT: {"reason": "Another symbol."},
}
REFUSED = {
    ("POST", RESOLVE): 409,  # what is not stale is not resolved
    ("POST", "/markets/{market_id}/resettle"): 409,  # the market is open
    ("POST", "/orders/{order_id}/resettle"): 409,  # the order is open
    ("DELETE", QUARANTINE): 404,  # no symbol is in quarantine
    ("PATCH", FILL): 404,  # the trade is not a fill
    ("PATCH", SPLIT): 404,
    ("DELETE", SPLIT): 404,
    ("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"): 404,  # no delivery yet
}
ROUTES = [
    (method.upper(), path, requirement[0]["bearer"][0])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if (requirement := operation.get("security"))
]
WITH_ID = [(method, path) for method, path, _ in ROUTES if "{portfolio_id}" in path and "{job_id}" not in path]
OF_THE_PLATFORM = {(method, path) for method, path, scope in ROUTES if scope in PLATFORM_SCOPES}
PORTFOLIO_ID = portfolio_id_of("demo", "1", "default")
IDS = {
    **{"webhook_id": derive_id("demo", "webhook", "hook"), "delivery_id": "1"},
    **{"portfolio_id": PORTFOLIO_ID, "rebalance_id": rebalance_id_of(PORTFOLIO_ID, "k"), "ref_id": "t1"},
    **{"symbol": "AAPL", "effective_on": "2024-01-02", "job_id": "j", "import_id": "i"},
    **{"order_id": derive_order_id("demo", "1", "bet"), "user_id": "1", "market_id": "match", "action": "close"},
}


def send(system: System, method: str, path: str, **options: Any) -> Any:
    """A request to the route that would succeed for the tenant `demo`, with these options."""
    return to(system, method, path, IDS, **options)


def to(system: System, method: str, path: str, ids: dict[str, str], **options: Any) -> Any:
    """Return the request for the resources with these ids."""
    body: Any = BODIES.get((method, path))
    if path in FILES:
        body, options["headers"] = FILES[path], {**options.get("headers", {}), "Content-Type": "text/csv"}
    if method == "DELETE" and path in QUERIES:
        options["query"] = QUERIES[path]
    if "/cash/{ref_id}" in path:
        ids = {**ids, "ref_id": "c1"}
    if path == CANCEL:
        ids = {**ids, "rebalance_id": rebalance_id_of(PORTFOLIO_ID, "run")}
    if path == "/portfolio-summary":
        options["query"] = {"user_id": "1", "portfolio_id": ids["portfolio_id"]}
    if path in {"/orders", "/transactions"} and method == "GET":
        options["query"] = {"user_id": "1"}
    if path == "/markets/{market_id}/settlement":
        ids = {**ids, "market_id": "closed"}
    return system.http(method, path.format(**ids), body, **options)


def with_token(system: System, token: str, method: str = "GET", path: str = "/portfolios") -> Any:
    """Send a request behind a gateway without an authorizer."""
    return send(system, method, path, authorizer=None, headers=bearer(token))


_FILLED: list[Callable[[], None]] = []


def filled(system: System) -> None:
    """Store an asset and a portfolio of user 1 of tenant `demo` with a resource for every route.

    The resources are two rebalances (one undecided), a trade and a check. Later tests restore the first state.
    """
    if _FILLED:
        _FILLED[0]()
    else:
        _fill(system)
        _FILLED.append(snapshot())


def _fill(system: System) -> None:
    system.portfolio()
    assert send(system, "PUT", "/assets/{symbol}", authorizer=authorized(scope="market:write")).status == 200
    assert send(system, "POST", "/quotes", authorizer=authorized(scope="market:write")).status == 202
    system.process_quotes()
    assert send(system, "POST", "/rebalance").status == 202
    assert send(system, "POST", "/portfolios/{portfolio_id}/cash").status == 201
    assert system.http("POST", f"/portfolios/{PORTFOLIO_ID}/trades", TRADE).status == 201
    IDS["import_id"] = send(system, "POST", "/portfolios/{portfolio_id}/cash/import").json["import_id"]
    system.drain_queue()
    system.pass_stream([record for record in commits() if "evaluation_due" in record["dynamodb"]["NewImage"]])
    system.process_checks()
    assert system.http("POST", f"/portfolios/{PORTFOLIO_ID}/rebalances", {"request_id": "run"}).status == 202
    assert system.http("POST", "/orders", BET, headers={"Idempotency-Key": "bet"}).status == 201
    assert system.http("POST", "/webhooks", WEBHOOK, headers={"Idempotency-Key": "hook"}).status == 201
    assert system.http("POST", "/markets/closed/settle", {"winners": []}).status == 202


def test_only_the_four_open_routes_ask_for_no_token() -> None:
    asked = {path for _, path, _ in ROUTES}
    assert set(DOCUMENT["paths"]) - asked == {"/health", "/openapi.json", "/docs", "/problems/{name}", "/links/{token}"}
    assert len(ROUTES) == 95


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=["RS256", "ES256"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_token_of_either_algorithm_is_believed(system: System, key: Any, scheme: str) -> None:
    publish()
    headers = {"authorization": f"{scheme} {mint(key)}"}
    created = system.http("POST", "/portfolio", {"user_id": "1"}, authorizer=None, headers=headers)
    assert created.status == 201, created.text
    assert system.items()[0]["tenant_id"]["S"] == "demo"


@pytest.mark.parametrize("change", [{"exp": -20}, {"nbf": 20}, {"iat": 20}])
def test_clocks_may_be_half_a_minute_apart(system: System, change: dict[str, Any]) -> None:
    publish()
    now = int(time.time())
    assert with_token(system, mint(None, **{name: now + seconds for name, seconds in change.items()})).status == 200


@pytest.mark.parametrize("audience", [["other", "trimtab"], "trimtab"])
def test_one_of_several_audiences_is_enough(system: System, audience: Any) -> None:
    publish()
    assert with_token(system, mint(aud=audience)).status == 200


@pytest.mark.parametrize("scope", ["portfolios:read", ["portfolios:read"], "openid  portfolios:read "])
def test_scopes_come_as_a_text_or_a_list(system: System, scope: Any) -> None:
    publish()
    assert with_token(system, mint(scope=scope)).status == 200


@pytest.mark.parametrize("scope", [None, "", [], 5, {}, "portfolios:reads", "PORTFOLIOS:READ", "portfolios:*"])
def test_a_token_without_the_scope_is_forbidden_whatever_its_scope_claim_is(system: System, scope: Any) -> None:
    publish()
    assert with_token(system, mint(scope=scope)).status in {401, 403}


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_every_route_asks_for_its_scope(system: System, method: str, path: str, scope: str) -> None:
    filled(system)
    before = system.items()
    others = {*EVERY_SCOPE.split(), "market:read"} - {scope}
    for granted in (" ".join(others), ""):
        answer = send(system, method, path, authorizer=authorized(scope=granted))
        assert (answer.status, answer.json["type"]) == (403, "urn:trimtab:problem:insufficient_scope")
        assert scope in answer.json["detail"]
    assert system.items() == before
    allowed = send(system, method, path, authorizer=authorized(scope=scope)).status
    assert allowed == REFUSED.get((method, path), allowed)
    assert allowed < 300 or (method, path) in REFUSED or ("{job_id}" in path and allowed == 404)


@pytest.mark.parametrize(("method", "path", "scope"), [each for each in ROUTES if each[0] != "GET"])
def test_a_scope_is_checked_before_the_body_and_the_query(system: System, method: str, path: str, scope: str) -> None:
    headers, query = {"Content-Type": "text/plain"}, {"nonsense": "1"}
    url = path.format(**IDS)
    refused = system.http(method, url, "[", query=query, headers=headers, authorizer=authorized(scope="none"))
    assert (refused.status, refused.json["type"]) == (403, "urn:trimtab:problem:insufficient_scope")
    permitted = system.http(method, url, "[", query=query, headers=headers, authorizer=authorized(scope=scope))
    assert permitted.status in {400, 415}


@pytest.mark.parametrize(("method", "path", "scope"), [each for each in ROUTES if each[2] in PLATFORM_SCOPES])
def test_the_token_of_an_end_user_never_does_the_platforms_work(
    system: System, method: str, path: str, scope: str
) -> None:
    filled(system)
    before = system.items()
    answer = send(system, method, path, authorizer=authorized(user_id="1", scope=scope))
    assert (answer.status, answer.json["type"]) == (403, "urn:trimtab:problem:not_for_end_users")
    assert system.items() == before


@pytest.mark.parametrize(("method", "path"), WITH_ID)
@pytest.mark.parametrize("who", [("acme", ""), ("demo", "2")], ids=["tenant", "user"])
def test_the_ids_of_others_are_not_found(system: System, who: tuple[str, str], method: str, path: str) -> None:
    filled(system)
    caller, ours = authorized(*who, scope=EVERY_SCOPE), authorized(scope=EVERY_SCOPE)
    before = system.items()
    theirs, nobodys = send(system, method, path, authorizer=caller), {**IDS, "portfolio_id": "nobody"}
    if who == ("demo", "2") and (method, path) in OF_THE_PLATFORM:
        assert theirs.status == 403
        return
    missing = to(system, method, path, nobodys, authorizer=caller)
    assert (theirs.status, missing.status) == (404, 404)
    assert theirs.json["type"] == missing.json["type"]
    assert theirs.json["detail"] == missing.json["detail"], "the answer tells that it exists"
    assert system.items() == before
    status = send(system, method, path, authorizer=ours).status
    assert status < 300 or status == REFUSED.get((method, path))


def test_another_tenants_reports_and_lists_do_not_meet_ours(system: System) -> None:
    filled(system)
    acme = authorized("acme")
    assert send(system, "POST", "/rebalance", authorizer=acme).status == 404
    assert system.http("GET", "/portfolios", authorizer=acme).json["items"] == []
    assert system.http("GET", "/portfolios", query={"user_id": "1"}, authorizer=acme).json["items"] == []


def test_an_end_user_sees_and_acts_for_itself_only(system: System) -> None:
    filled(system)
    system.portfolio("2")
    user = authorized(user_id="1", scope=EVERY_SCOPE)
    assert [portfolio["user_id"] for portfolio in system.http("GET", "/portfolios", authorizer=user).json["items"]] == [
        "1"
    ]
    assert system.http("GET", "/portfolios", query={"user_id": "1"}, authorizer=user).status == 200
    reads = [path for method, path in WITH_ID if method == "GET" and (method, path) not in OF_THE_PLATFORM]
    assert all(send(system, "GET", path, authorizer=user).status < 300 for path in reads)
    assert send(system, "POST", "/rebalance", authorizer=user).status == 202
    body = {"user_id": "2", "new_allocation": WEIGHTS}
    for answer in (
        system.http("GET", "/portfolios", query={"user_id": "2"}, authorizer=user),
        system.http("POST", "/rebalance", body, authorizer=user),
        system.http("POST", "/portfolio", {"user_id": "2", "name": "x"}, authorizer=user),
    ):
        assert (answer.status, answer.json["type"]) == (403, "urn:trimtab:problem:other_user")


def test_a_users_token_is_limited_to_its_user(system: System) -> None:
    publish()
    system.portfolio("1")
    system.portfolio("2")
    items = with_token(system, mint(user_id="2")).json["items"]
    assert [portfolio["user_id"] for portfolio in items] == ["2"]


def test_what_the_authorizer_cached_ends_with_the_token(system: System) -> None:
    past, leeway = str(int(time.time()) - 60), str(int(time.time()) - 10)
    expired = system.http("GET", "/portfolios", authorizer=authorized(exp=past))
    assert (expired.status, expired.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert system.http("GET", "/portfolios", authorizer=authorized(exp=leeway)).status == 200


def test_headers_that_look_like_the_gateways_context_mean_nothing(system: System) -> None:
    headers = {"tenant_id": "demo", "x-amzn-authorizer-tenant_id": "demo", "X-Tenant-Id": "demo"}
    assert system.http("GET", "/portfolios", authorizer=None, headers=headers).status == 401


def authorize(authorization: str | None) -> dict[str, Any]:
    """The authorizer function's answer."""
    event = {**payload("authorizer/token.json"), "authorizationToken": authorization}
    return authorizer_function.handler(event, LambdaContext())


def test_the_authorizer_answers_the_key_of_the_tenants_usage_plan(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    without = authorize(f"Bearer {mint(tenant_id='acme')}")
    monkeypatch.setenv("USAGE_KEYS", '{"": "others", "acme": "plan-of-acme"}')
    authorizer_function.settings.cache_clear()
    try:
        answers = [authorize(f"Bearer {mint(tenant_id=tenant)}") for tenant in ("acme", "globex")]
        refused = authorize("Bearer nonsense")
    finally:
        authorizer_function.settings.cache_clear()

    assert "usageIdentifierKey" not in without
    assert [answer["usageIdentifierKey"] for answer in answers] == ["plan-of-acme", "others"]
    assert "usageIdentifierKey" not in refused


def test_the_authorizer_admits_to_the_whole_stage_and_names_the_caller(system: System) -> None:
    publish()
    answer = authorize(f"Bearer {mint(user_id='u1', exp=(expiry := int(time.time()) + 60))}")
    assert answer["policyDocument"]["Statement"] == [
        {
            "Action": "execute-api:Invoke",
            "Effect": "Allow",
            "Resource": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/*",
        }
    ]
    assert answer["principalId"] == "client-1"
    assert answer["context"] == {
        "tenant_id": "demo",
        "user_id": "u1",
        "scope": " ".join(sorted(ALL_SCOPES.split())),
        "subject": "client-1",
        "exp": str(expiry),
    }
    behind = system.http("GET", "/portfolios", authorizer={**answer["context"], "principalId": "client-1"})
    assert behind.status == 200


TRANSIENT = {"not yet valid", "issued in the future"}
"""The bad tokens that may become good: API Gateway caches a policy, and no exception."""


@pytest.mark.parametrize("name", bad_tokens())
def test_the_authorizer_denies_the_stage_to_a_bad_token_unless_the_token_may_become_good(
    system: System, name: str
) -> None:
    publish()
    if name in TRANSIENT:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorize(bad_tokens()[name])
        return
    answer = authorize(bad_tokens()[name])
    (statement,) = answer["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"].endswith("/prod/*"), answer["context"]) == ("Deny", True, {})


def test_a_key_that_was_published_a_moment_ago_is_not_refused_for_the_time_of_the_cache(system: System) -> None:
    publish()
    assert authorize(f"Bearer {mint()}")["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(f"Bearer {mint(headers={'kid': 'new'})}")


def test_only_tokens_of_platform_tenants_move_all_tenants(system: System) -> None:
    publish()
    scope, quotes = "market:read market:write operator", {"quotes": [{"symbol": "AAPL", "price": 1, "as_of": "now"}]}
    halt = {"scope": "all_tenants", "reason": "The feed looks wrong."}
    for tenant, expected in (("demo", {400, 200}), ("acme", {403})):
        headers = bearer(mint(tenant_id=tenant, scope=scope))
        answers = (
            system.http("POST", "/quotes", quotes, authorizer=None, headers=headers),
            system.http("PUT", "/halt", halt, authorizer=None, headers=headers),
        )
        assert {answer.status for answer in answers} == expected, tenant
        granted = authorize(f"Bearer {mint(tenant_id=tenant, scope=scope)}")["context"]["scope"]
        assert ("market:write" in granted.split()) is (tenant == "demo")
    assert "use a token of a platform tenant that has it" in answers[0].json["detail"]


def configured(**changes: Any) -> Any:
    """The functions with another AUTH."""
    return mock.patch.dict("os.environ", AUTH=json.dumps({**AUTH, **changes}))


def test_a_machine_without_a_tenant_in_its_token_is_mapped_by_its_client(system: System) -> None:
    publish()
    with configured(client_tenants={"m1": "demo", "m2": "demo#P"}):
        forget_cached()
        assert with_token(system, mint(tenant_id=None, client_id="m1")).status == 200
        assert with_token(system, mint(tenant_id=None, azp="m1")).status == 200
        others: list[dict[str, Any]] = [{"client_id": "m2"}, {"client_id": "m3"}, {}, {"sub": "m1"}]
        for claims in others:
            assert with_token(system, mint(tenant_id=None, **claims)).status == 401, claims
        system.http("POST", "/portfolio", {"user_id": "1"}, authorizer=authorized("acme"))
        own = with_token(system, mint(tenant_id="acme", client_id="m1")).json["items"]
        assert len(own) == 1, "the token's own tenant comes first"


def test_tokens_without_an_audience_are_bound_by_their_client(system: System) -> None:
    publish()
    with configured(audience=None, client_ids=["m1"]):
        forget_cached()
        assert with_token(system, mint(aud=None, client_id="m1")).status == 200
        others: list[dict[str, Any]] = [{}, {"client_id": "m2"}, {"client_id": ["m1"]}, {"sub": "m1"}]
        for claims in others:
            assert with_token(system, mint(aud=None, **claims)).status == 401, claims


def test_other_claim_names_are_read_where_they_are_configured(system: System) -> None:
    publish()
    with configured(claims={"tenant": "https://x/tenant", "user": "uid", "scope": "scp"}):
        forget_cached()
        named: dict[str, Any] = {"https://x/tenant": "demo", "uid": "1", "scp": ["portfolios:read"]}
        token = mint(**named, tenant_id="acme", scope="")
        assert with_token(system, token).status == 200


@pytest.mark.parametrize(
    ("scope", "status"),
    [("trimtab/portfolios:read", 200), ("x trimtab/portfolios:read", 200), ("other/portfolios:read", 403)],
)
def test_a_prefix_of_scopes_is_taken_off(system: System, scope: str, status: int) -> None:
    publish()
    with configured(scope_prefix="trimtab/"):
        forget_cached()
        assert with_token(system, mint(scope=scope)).status == status


def test_where_scopes_have_a_prefix_a_scope_without_it_is_none_of_ours(system: System) -> None:
    publish()
    with configured(scope_prefix="trimtab/"):
        forget_cached()
        assert with_token(system, mint(scope="portfolios:read")).status == 403


def test_keys_that_cannot_be_had_are_a_503_and_not_an_open_door(system: System) -> None:
    answer = with_token(system, mint())
    assert (answer.status, answer.json["type"]) == (503, "urn:trimtab:problem:keys_unavailable")
    assert answer.headers["Retry-After"]
    with pytest.raises(Exception, match="keys_unavailable"):
        authorize(f"Bearer {mint()}")


def test_a_rotated_key_is_found_without_a_restart(system: System) -> None:
    publish(rsa_key())
    assert with_token(system, mint(rsa_key())).status == 200
    publish(ec_key())
    with mock.patch("trimtab.runtime.auth.KEYS_REFETCH_AFTER", timedelta(0)):
        assert with_token(system, mint(ec_key())).status == 200
        assert with_token(system, mint(rsa_key())).status == 401
