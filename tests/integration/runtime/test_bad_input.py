"""Hostile and mistaken requests: a client can cause no 5xx, and what fails inside tells nothing but a trace id."""

import base64
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ConnectTimeoutError

from tests.support.system import System, authorized, gateway_event
from trimtab.runtime.http.cursors import encode_cursor
from trimtab.runtime.observability import logger

TARGET = {"stocks": 60, "bonds": 30, "gold": 10}
PROBLEM = "urn:trimtab:problem:"
LIMIT = 64 * 1024


def refused(system: System, body: Any, path: str = "/portfolio", method: str = "POST", **options: Any) -> Any:
    """The problem document; nothing may have been stored."""
    before = system.items()
    answer = system.http(method, path, body, **options)
    assert 400 <= answer.status < 500, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["status"] == answer.status
    assert set(answer.json) - {"errors"} == {"type", "title", "status", "detail", "trace_id"}
    assert system.items() == before
    return answer.json


@pytest.mark.parametrize(("over", "status"), [(-1, 400), (0, 400), (1, 413)])
@pytest.mark.parametrize("character", ["x", "é"])
@pytest.mark.parametrize("is_base64", [False, True])
def test_64_kib_are_read_and_a_byte_more_is_not(
    system: System, over: int, status: int, character: str, is_base64: bool
) -> None:
    frame = '{"user_id": "1", "note": ""}'
    room = LIMIT + over - len(frame)
    width = len(character.encode())
    body = frame.replace('""', f'"{character * (room // width)}{"x" * (room % width)}"')
    assert len(body.encode()) == LIMIT + over
    event = gateway_event("POST", "/portfolio", body, authorizer=authorized())
    if is_base64:
        event |= {"body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
    answer = system.answer(event)
    assert answer.status == status
    assert answer.json["type"] == PROBLEM + ("body_too_large" if status == 413 else "invalid_request")


BAD_TEXTS: list[tuple[str, str, str]] = [
    ("not JSON", "{", "invalid_json"),
    ("a comma too many", '{"user_id": "1",}', "invalid_json"),
    ("nothing", "", "invalid_request"),
    ("blank", "  ", "invalid_json"),
    ("null", "null", "invalid_request"),
    ("an array", "[]", "invalid_request"),
    ("an array of one", '[{"user_id": "1"}]', "invalid_request"),
    ("a text", '"x"', "invalid_request"),
    ("a number", "5", "invalid_request"),
    ("true", "true", "invalid_request"),
    ("33 levels", "[" * 33 + "]" * 33, "too_deep"),
    ("30,000 levels", "[" * 30_000, "too_deep"),
    ("NaN", '{"user_id": "1", "cash": NaN}', "invalid_number"),
    ("Infinity", '{"user_id": "1", "cash": -Infinity}', "invalid_number"),
    ("1e400", '{"user_id": "1", "cash": 1e400}', "invalid_number"),
    ("endless digits", '{"user_id": "1", "cash": ' + "9" * 60_000 + "}", "invalid_number"),
    ("a key twice", '{"user_id": "1", "user_id": "1"}', "duplicate_key"),
    ("a lone surrogate", '{"user_id": "\\ud800"}', "invalid_request"),
    ("a lone surrogate for a key", '{"user_id": "1", "\\ud800": 1}', "invalid_request"),
    ("a byte order mark", '\ufeff{"user_id": "1"}', "invalid_json"),
    ("10,000 keys", json.dumps({str(n): 0 for n in range(6_000)}), "invalid_request"),
]


@pytest.mark.parametrize(("text", "type"), [case[1:] for case in BAD_TEXTS], ids=[case[0] for case in BAD_TEXTS])
def test_a_body_that_is_no_object_in_strict_json_is_refused(system: System, text: str, type: str) -> None:
    for path in ("/portfolio", "/rebalance"):
        problem = refused(system, text, path)
        assert (problem["status"], problem["type"]) == (400, PROBLEM + type)


def test_a_mistake_in_json_is_pointed_at(system: System) -> None:
    assert refused(system, '{"user_id": "1"\n "name": "x"}')["detail"].endswith("line 2, column 2.")


@pytest.mark.parametrize("body", [b'{"user_id": "\xff"}', b"\xfe\xff"])
def test_a_base64_body_that_is_no_utf_8_is_refused(system: System, body: bytes) -> None:
    event = gateway_event("POST", "/portfolio", base64.b64encode(body).decode(), authorizer=authorized())
    assert system.answer(event | {"isBase64Encoded": True}).status == 400


MEDIA = [
    *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"),
    *("application/jsonp", "application/octet-stream", "json", ";", "text/json"),
]


@pytest.mark.parametrize("media_type", MEDIA)
def test_a_body_of_another_media_type_is_refused(system: System, media_type: str) -> None:
    problem = refused(system, {"user_id": "1"}, headers={"Content-Type": media_type})
    assert (problem["status"], problem["type"]) == (415, f"{PROBLEM}unsupported_media_type")


BAD_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("no user", {"user_id": None}, "user_id"),
    ("a number for a user", {"user_id": 1}, "user_id"),
    ("a user that forges a key", {"user_id": "1#P"}, "user_id"),
    ("an empty user", {"user_id": ""}, "user_id"),
    ("a user of 129", {"user_id": "x" * 129}, "user_id"),
    ("an empty name", {"name": ""}, "name"),
    ("a name of blanks", {"name": "  "}, "name"),
    ("a name of 101", {"name": "é" * 101}, "name"),
    ("a name with a line break", {"name": "a\nb"}, "name"),
    ("a name with a control character", {"name": "a\x00b"}, "name"),
    ("a name with a paragraph separator", {"name": "a\u2029b"}, "name"),
    ("an asset class that ends with a blank", {"allocation": {"US Bonds ": 100}}, "allocation.US Bonds .[key]"),
    ("an asset class with two blanks", {"allocation": {"US  Bonds": 100}}, "allocation.US  Bonds.[key]"),
    ("a new line", {"user_id": "1\n"}, "user_id"),
    ("an unknown field", {"note": "x"}, "note"),
    ("a Cyrillic asset", {"allocation": {"\u0430pple": 100}}, "allocation.\u0430pple.[key]"),
    ("an asset that breaks the packing", {"allocation": {"a:b,c": 100}}, "allocation.a:b,c.[key]"),
    ("a negative weight", {"allocation": {"a": 101, "b": -1}}, "allocation.a"),
    ("91 assets", {"allocation": {f"a{n}": 1 for n in range(91)}}, "allocation"),
    ("no assets", {"allocation": {}}, "allocation"),
    ("a sum of 99.9999", {"allocation": {"a": "99.9999"}}, "allocation"),
    ("a sum of 100.0001", {"allocation": {"a": "50.0001", "b": 50}}, "allocation"),
    ("five decimals", {"allocation": {"a": "50.00001", "b": "49.99999"}}, "allocation.a"),
    ("a bool for a weight", {"allocation": {"a": 99, "b": True}}, "allocation.b"),
    ("a text for a weight", {"allocation": {"a": "1e2"}}, "allocation.a"),
    ("Arabic-Indic digits", {"allocation": {"a": "\u0661\u0660\u0660"}}, "allocation.a"),
    ("an array of weights", {"allocation": [["a", 100]]}, "allocation"),
    ("cash of three decimals", {"cash": "1.001"}, "body"),
    ("negative cash", {"cash": -1}, "cash"),
    ("a currency in lower case", {"currency": "usd"}, "currency"),
    ("a currency of four", {"currency": "USDT"}, "currency"),
    ("an unknown band", {"policy": {"band": {"type": "wide", "value": 1}}}, "policy.band.type"),
    ("a band without its value", {"policy": {"band": {"type": "absolute"}}}, "policy.band"),
    ("points of an absolute band", {"policy": {"band": {"type": "absolute", "value": 1, "points": 1}}}, "policy.band"),
    ("a negative band", {"policy": {"band": {"type": "absolute", "value": -1}}}, "policy.band.value"),
    ("a negative cooldown", {"policy": {"cooldown_seconds": -1}}, "policy.cooldown_seconds"),
    ("an endless cooldown", {"policy": {"cooldown_seconds": 10**9}}, "policy.cooldown_seconds"),
    ("half a second", {"policy": {"cooldown_seconds": "1.5"}}, "policy.cooldown_seconds"),
    ("a bool for a cooldown", {"policy": {"cooldown_seconds": True}}, "policy.cooldown_seconds"),
    ("an underscore in a cooldown", {"policy": {"cooldown_seconds": "1_0"}}, "policy.cooldown_seconds"),
    ("an unknown destination", {"policy": {"destination": "nowhere"}}, "policy.destination"),
    ("an unknown member of a policy", {"policy": {"limits": None}}, "policy.limits"),
]


@pytest.mark.parametrize(("change", "field"), [case[1:] for case in BAD_FIELDS], ids=[case[0] for case in BAD_FIELDS])
def test_a_field_that_does_not_fit_is_named(system: System, change: dict[str, Any], field: str) -> None:
    problem = refused(system, {"user_id": "1", **change})
    assert (problem["status"], problem["type"]) == (400, f"{PROBLEM}invalid_request")
    assert field in [error["field"] for error in problem["errors"]]
    assert all(error["detail"] for error in problem["errors"])


def test_a_sum_that_is_not_100_is_told(system: System) -> None:
    problem = refused(system, {"user_id": "1", "new_allocation": {"a": "99.9999"}}, "/rebalance")
    assert problem["errors"] == [
        {"field": "new_allocation", "detail": "The weights sum to 99.9999; the sum must be exactly 100."}
    ]


def test_no_more_than_20_mistakes_are_listed(system: System) -> None:
    assert len(refused(system, {"user_id": "1", **{f"x{n}": 0 for n in range(100)}})["errors"]) == 20


@pytest.mark.parametrize("as_of", ["2026-01-01", "2026-01-01T00:00:00", 1795253400, True, "2026-01-01T00:00:00+05:99"])
def test_a_time_is_rfc_3339_with_its_offset(system: System, as_of: Any) -> None:
    system.portfolio()
    body = {"user_id": "1", "new_allocation": TARGET, "as_of": as_of}
    assert [error["field"] for error in refused(system, body, "/rebalance")["errors"]] == ["as_of"]


@pytest.mark.parametrize("key", ["", "x" * 256, "é", " ", "a\tb", '""'])
def test_an_idempotency_key_has_1_to_255_printable_characters(system: System, key: str) -> None:
    system.portfolio()
    body = {"user_id": "1", "new_allocation": TARGET}
    assert refused(system, body, "/rebalance", headers={"Idempotency-Key": key})["status"] == 400


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "", "1_0", "\u0665", "9" * 5000])
def test_a_limit_is_1_to_100(system: System, limit: str) -> None:
    assert refused(system, None, "/portfolios", "GET", query={"limit": limit})["status"] == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("GET", "/"), ("DELETE", "/portfolio/x/y"), ("PUT", "/nowhere"), ("OPTIONS", "/nowhere")],
)
def test_a_route_that_does_not_exist_is_not_found(system: System, method: str, path: str) -> None:
    assert refused(system, None, path, method)["type"] == f"{PROBLEM}no_route"


@pytest.mark.parametrize("portfolio_id", ["a b", "x" * 129, "a%23b", "a,b"])
def test_an_id_in_the_path_is_an_identifier(system: System, portfolio_id: str) -> None:
    assert refused(system, None, f"/portfolios/{portfolio_id}", "GET")["status"] == 400


LISTS = ("/portfolios", "rebalances", "transactions")


def listed(portfolio_id: str) -> dict[str, str]:
    """The path of each list."""
    return {name: name if name.startswith("/") else f"/portfolios/{portfolio_id}/{name}" for name in LISTS}


def filled(system: System) -> str:
    """Create two portfolios, the first with two decided rebalances; return the id of the first."""
    portfolio_id = system.portfolio()["portfolio_id"]
    for number in range(2):
        weights = {"stocks": 70, "bonds": 20, "gold": 10}
        system.http("POST", "/rebalance", {"user_id": "1", "new_allocation": weights, "request_id": f"r{number}"})
    system.drain_queue()
    system.portfolio("2")
    return str(portfolio_id)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cursor", ["", "x", "é", "....", "AAAA", "W10", "bnVsbA", "A" * 1025, "W1tdLFtdXQ", "=" * 8])
def test_garbage_is_no_cursor(system: System, name: str, cursor: str) -> None:
    problem = refused(system, None, listed(filled(system))[name], "GET", query={"cursor": cursor})
    assert (problem["status"], problem["type"]) == (400, f"{PROBLEM}invalid_cursor")


def test_a_cursor_belongs_to_its_list_its_portfolio_its_user_and_its_tenant(system: System) -> None:
    portfolio_id = filled(system)
    other = system.http("GET", "/portfolios", query={"user_id": "2"}).json["items"][0]["portfolio_id"]
    cursors = {}
    for name, path in listed(portfolio_id).items():
        cursors[name] = system.http("GET", path, query={"limit": "1"}).json["next_cursor"]
        assert system.http("GET", path, query={"cursor": cursors[name]}).status == 200
    for name, path in listed(portfolio_id).items():
        for issuer, cursor in cursors.items():
            if issuer != name:
                assert refused(system, None, path, "GET", query={"cursor": cursor})["status"] == 400
    for name in LISTS[1:]:
        assert refused(system, None, listed(other)[name], "GET", query={"cursor": cursors[name]})["status"] == 400
    query = {"cursor": cursors["/portfolios"]}
    assert refused(system, None, "/portfolios", "GET", query={**query, "user_id": "2"})["status"] == 400
    for caller in (authorized("acme"), authorized(user_id="1")):
        assert refused(system, None, "/portfolios", "GET", query=query, authorizer=caller)["status"] == 400


POSITIONS: list[Any] = [
    *(
        [],
        ["x"],
        ["a", "b"],
        ["a", "b", "c"],
        ["a", "b", "c", "d"],
        [1],
        [-5],
        [-500],
        [True],
        [1, 2, 3],
        ["a", "b", -1],
    ),
    *(["a", "b", True], ["a", 1, "c"], [10**400], ["", ""], ["", "", ""], ["", "", 0], ["\ud800"] * 3, ["x" * 700] * 2),
]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("position", POSITIONS, ids=lambda position: str(position)[:24])
def test_a_forged_position_is_refused_or_leads_to_an_end(system: System, name: str, position: Any) -> None:
    """A cursor with a valid binding and any position lists a page or is refused with 400."""
    portfolio_id = filled(system)
    query = ("demo", "portfolios", "") if name == "/portfolios" else ("demo", name, portfolio_id)
    cursor, seen = encode_cursor(position, *query), set()
    for _ in range(5):
        answer = system.http("GET", listed(portfolio_id)[name], query={"cursor": cursor} if cursor else None)
        assert answer.status in {200, 400}, answer.text
        cursor = answer.json.get("next_cursor")
        if cursor is None:
            return
        assert cursor not in seen, "the list never ends"
        seen.add(cursor)


@contextmanager
def failing(operation: str, error: Exception) -> Iterator[None]:
    """Make calls of an AWS operation raise."""
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def fail(client: Any, name: str, arguments: Any) -> Any:
        if name == operation:
            raise error
        return call(client, name, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", fail):
        yield


def client_error(code: str) -> ClientError:
    """An error of AWS."""
    return ClientError({"Error": {"Code": code, "Message": "table secret-table"}}, "Operation")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return the log of the function."""
    handler, written = logger.registered_handler, io.StringIO()
    with mock.patch.object(handler, "stream", written):
        yield written


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("secret-table"),
        client_error("AccessDeniedException"),
        ConnectTimeoutError(endpoint_url="secret-table"),
    ],
)
def test_what_fails_inside_is_a_500_that_tells_nothing_but_the_trace_id_of_the_log(
    system: System, log: io.StringIO, error: Exception
) -> None:
    with failing("GetItem", error):
        answer = system.http("GET", "/portfolios/x", request_id="trace-42")
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/problem+json")
    trace_id = answer.json["trace_id"]
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    assert answer.json["type"] == f"{PROBLEM}internal_error"
    for secret in ("secret", type(error).__name__, "Traceback", "File"):
        assert secret not in answer.text
    (line,) = (entry for text in log.getvalue().splitlines() if (entry := json.loads(text))["level"] == "ERROR")
    assert (line["trace_id"], line["request_id"]) == (trace_id, "trace-42")
    assert line["exception_name"] == type(error).__name__
    assert "secret-table" in line["exception"]


def test_a_refusal_is_in_the_log_with_its_trace_id_and_no_token_or_body(system: System, log: io.StringIO) -> None:
    headers = {"Authorization": "Bearer secret-token"}
    answer = system.http("POST", "/portfolio", {"user_id": "secret#"}, headers=headers, request_id="trace-43")
    assert f'"trace_id":"{answer.json["trace_id"]}"' in log.getvalue()
    assert '"request_id":"trace-43"' in log.getvalue()
    assert "secret" not in log.getvalue()


THROTTLES = ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"]


@pytest.mark.parametrize("code", THROTTLES)
@pytest.mark.parametrize(
    ("operation", "method", "path", "body"),
    [
        ("GetItem", "GET", "/portfolios/x", None),
        ("PutItem", "POST", "/portfolio", {"user_id": "9"}),
        ("Query", "GET", "/portfolios", None),
        ("BatchGetItem", "GET", "/portfolios", None),
        ("SendMessage", "POST", "/rebalance", {"user_id": "1", "new_allocation": TARGET}),
    ],
)
def test_a_throttled_store_is_a_503_that_says_when_to_come_back(
    system: System, operation: str, method: str, path: str, body: Any, code: str
) -> None:
    system.portfolio()
    with failing(operation, client_error(code)):
        answer = system.http(method, path, body)
    assert (answer.status, answer.json["type"], answer.headers["Retry-After"]) == (503, f"{PROBLEM}busy", "1")


def test_a_queue_that_throttles_is_a_503_too(system: System) -> None:
    system.portfolio()
    with failing("SendMessage", client_error("RequestThrottled")):
        answer = system.http("POST", "/rebalance", {"user_id": "1", "new_allocation": TARGET})
    assert answer.status == 503


def test_a_store_that_leaves_keys_unread_is_a_503_and_no_conflict(system: System) -> None:
    system.portfolio()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def unread(client: Any, name: str, arguments: Any) -> Any:
        if name == "BatchGetItem":
            return {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}
        return call(client, name, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", unread):
        answer = system.http("GET", "/portfolios")
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "1")
