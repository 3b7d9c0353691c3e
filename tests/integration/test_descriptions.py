"""The descriptions are those of the code, they are valid, and what the system says conforms to them."""

import doctest
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from functions.balancing_on_sweep import handler as sweep_function
from functions.platform_api import handler as platform_function
from infra.config import ROOT
from infra.constructs.routes import routes_of
from infra.tools import bounds, descriptions, json_schema, member_docs, openapi, postman, problem_types, responses
from infra.tools.common_members import MEMBERS, SAME_MEMBERS
from infra.tools.problem_texts import TEXTS
from tests.support.moto_state import stored_items
from tests.support.system import (
    BETTING_TABLE,
    EVENTS,
    Answer,
    LambdaContext,
    System,
    authorized,
    gateway_event,
    payload,
)
from trimtab.betting.domain.orders import derive_order_id
from trimtab.kernel.clock import parse_time
from trimtab.runtime.dynamodb.outbox import events_of
from trimtab.runtime.http.problems import PROBLEM_TYPE

WRITTEN = descriptions.generated_files()
DOCUMENT: dict[str, Any] = json.loads((ROOT / "functions/platform_api/generated/openapi.json").read_text())
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
ID = "265076e4-f1a0-5d1f-99a9-59a8b0e03f01"
TARGET = {"stocks": 60, "bonds": 30, "gold": 10}
WEIGHTS = {"stocks": 70, "bonds": 20, "gold": 10}
formats = FormatChecker(formats=())


@formats.checks("date-time", raises=Exception)
def is_time(text: Any) -> bool:
    """RFC 3339, as our own clock reads it."""
    return bool(parse_time(text))


def response_of(operation: dict[str, Any], status: str) -> dict[str, Any]:
    """The response of an operation with a status; problems are described once, as components."""
    response: dict[str, Any] = operation["responses"][status]
    reference = response.get("$ref")
    return DOCUMENT["components"]["responses"][reference.rpartition("/")[2]] if reference else response


def schema(name: str) -> Draft202012Validator:
    """The schema of an event or a message."""
    return Draft202012Validator(json.loads((EVENTS / f"schemas/{name}.json").read_text()), format_checker=formats)


@pytest.mark.parametrize("path", sorted(map(str, WRITTEN)))
def test_the_written_file_is_what_the_code_says(path: str) -> None:
    assert (ROOT / path).read_text() == WRITTEN[Path(path)], "run `make describe`"


def test_no_schema_is_left_over() -> None:
    schemas = {path.relative_to(ROOT) for path in (EVENTS / "schemas").iterdir()}
    assert schemas == {path for path in WRITTEN if path.parent.name == "schemas"}


def test_the_document_describes_exactly_the_routes_of_the_resolvers() -> None:
    routes = {(it.method.lower(), it.path) for name in openapi.API_FUNCTIONS for it in routes_of(name)}
    assert {(method, path) for method, path, _ in OPERATIONS} == routes


BODYLESS = ("/{action}", "/cancel", "/rotate", "/test", "/redeliver")
"""The ends of the paths whose POST takes no body."""


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert set(DOCUMENT) <= {"openapi", "info", "servers", "paths", "components", "tags", "security"}
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    for method, path, operation in OPERATIONS:
        assert operation["responses"], path
        assert operation["summary"], path
        named = {it["name"] for it in operation.get("parameters", []) if it["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), path
        has_body = method in {"post", "put", "patch"} and not path.endswith(BODYLESS)
        assert ("requestBody" in operation) is has_body, path
        for status in operation["responses"]:
            answer = response_of(operation, status)
            assert answer["description"], (path, status)
            # Health says which part does not answer in the form in which it says that all do.
            if status.startswith(("4", "5")) and (path, status) != ("/health", "503"):
                assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_every_schema_of_the_document_is_valid_and_every_reference_leads_somewhere() -> None:
    for component in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(component)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        found: Any = DOCUMENT
        for part in reference.split("/"):
            found = found[part]


def test_every_operation_has_the_name_of_its_function_and_a_description() -> None:
    ids = {operation["operationId"] for _, _, operation in OPERATIONS}
    assert {"create_portfolio", "create_portfolio_alias", "request_rebalance", "place_order", "read_openapi"} <= ids
    for method, path, operation in OPERATIONS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]), path
        assert len(operation["description"]) > len("Read an asset"), (method, path)
        assert operation["tags"][0] in openapi.TAGS, path


def test_the_document_uses_the_keywords_of_json_schema_only() -> None:
    text = json.dumps([DOCUMENT, *(json.loads(path.read_text()) for path in (EVENTS / "schemas").iterdir())])
    assert re.findall(r'"(ge|gt|le|lt|min_length|max_length|multiple_of|patternProperties)": ', text) == []


def test_an_allocation_is_a_map_that_generators_understand() -> None:
    weights = DOCUMENT["components"]["schemas"]["RequestRebalance"]["properties"]["new_allocation"]
    assert weights["propertyNames"]["pattern"]
    assert {each["type"] for each in weights["additionalProperties"]["anyOf"]} == {"string", "number"}


def test_every_member_of_every_schema_has_a_description() -> None:
    documents = [DOCUMENT, *(json.loads(path.read_text()) for path in (EVENTS / "schemas").iterdir())]
    bare = sorted({member for document in documents for member in member_docs.undescribed(document)})
    assert bare == [], "write a docstring below the member of the model, then run `make describe`"
    components = DOCUMENT["components"]["schemas"]
    assert [name for name, component in components.items() if not component.get("description")] == []
    parameters = [each for _, _, operation in OPERATIONS for each in operation.get("parameters", ())]
    assert [each["name"] for each in parameters if not each.get("description")] == []


def test_a_docstring_below_a_member_describes_the_member_where_the_class_does_not_repeat_it() -> None:
    assert member_docs.text_of("BandView", "type") == member_docs.text_of("BandBody", "type")
    assert member_docs.text_of("ListedPortfolioView", "status") == member_docs.text_of("PortfolioView", "status")
    assert member_docs.text_of("BarView", "symbol") == MEMBERS["symbol"]
    assert member_docs.text_of("BarView", "no_such_member") is None


def test_every_class_that_lends_its_descriptions_exists() -> None:
    named = {*SAME_MEMBERS, *(name for names in SAME_MEMBERS.values() for name in names)}
    assert named <= set(member_docs.all_classes())


def test_every_problem_type_has_a_text_and_no_text_is_left_over() -> None:
    names = [each.name for each in problem_types.problem_types()]
    assert set(names) == set(TEXTS), "explain the type in `infra/tools/problem_texts.py`, then run `make describe`"
    assert DOCUMENT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"] == [
        PROBLEM_TYPE + name for name in names
    ]
    assert {"too_many_requests", "internal_error", "stale_as_of", "ref_id_reused"} <= set(names)


def test_every_example_fits_its_schema() -> None:
    for name, component in DOCUMENT["components"]["schemas"].items():
        for member, described in component.get("properties", {}).items():
            for example in described.get("examples", ()):
                complete = {**described, "components": DOCUMENT["components"]}
                errors = list(Draft202012Validator(complete).iter_errors(example))
                assert errors == [], f"{name}.{member}: {example}"


def test_decimals_have_the_bounds_of_their_models() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    text, number = schemas["EnterSplit"]["properties"]["ratio"]["anyOf"]
    assert number == {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}
    assert not text["pattern"].startswith("^-")
    weights = schemas["RequestRebalance"]["properties"]["new_allocation"]["additionalProperties"]["anyOf"]
    assert weights[1] == {"type": "number", "minimum": 0, "maximum": 100}
    assert schemas["ResolvePortfolio"]["properties"]["cash"]["anyOf"][0]["pattern"].startswith("^-?")


@pytest.mark.parametrize("module", [bounds, json_schema, postman, responses], ids=lambda module: module.__name__)
def test_examples_in_docstrings_of_the_tools_are_true(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_two_schemas_with_one_name_stop_the_build() -> None:
    components = {"Side": {"enum": ["BUY", "SELL"]}}
    openapi.add_components(components, {"Side": {"enum": ["BUY", "SELL"]}})
    with pytest.raises(openapi.ComponentCollision, match="Side"):
        openapi.add_components(components, {"Side": {"enum": ["BACK", "LAY"]}})


def test_charts_files_and_pages_have_their_media_types() -> None:
    paths = DOCUMENT["paths"]
    assert list(paths["/portfolios/{portfolio_id}/drift"]["get"]["responses"]["200"]["content"]) == [
        "application/json",
        "image/svg+xml",
    ]
    assert list(paths["/links/{token}"]["get"]["responses"]["200"]["content"]) == ["image/svg+xml"]
    assert list(paths["/portfolios/{portfolio_id}/trades.csv"]["get"]["responses"]["200"]["content"]) == ["text/csv"]
    assert list(paths["/docs"]["get"]["responses"]["200"]["content"]) == ["text/html"]


def test_the_asynchronous_document_refers_to_schemas_that_exist() -> None:
    document = yaml.safe_load((EVENTS / "asyncapi.yaml").read_text())
    for name, message in document["components"]["messages"].items():
        assert (EVENTS / message["payload"]["$ref"]).is_file(), name
    for path in (EVENTS / "schemas").iterdir():
        Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.parametrize("path", sorted((EVENTS / "direct").glob("*.json")), ids=lambda path: path.stem)
def test_a_message_for_the_queue_fits_its_schema(path: Path) -> None:
    message = json.loads(path.read_text())
    schema(message["type"]).validate(message)


@pytest.mark.parametrize(
    "change",
    [{"schema_version": 2}, {"user_id": "a#b"}, {"new_allocation": {"\u0430": 100}}, {"new_allocation": {}}, {"x": 1}],
)
def test_the_schema_of_the_message_refuses_what_the_worker_refuses(change: dict[str, Any]) -> None:
    assert not schema("rebalance.requested").is_valid(payload("direct/rebalance_requested.json") | change)


def conforms(answer: Answer, method: str, path: str) -> None:
    """Asserts that the answer is one that the document foresees, body and all."""
    operation = DOCUMENT["paths"][path][method.lower()]
    assert str(answer.status) in operation["responses"], f"{answer.status} is not documented for {method} {path}"
    response = response_of(operation, str(answer.status))
    undescribed = {*answer.headers} - {*response.get("headers", ()), "Content-Type"}
    assert not undescribed, f"{method} {path} sends {undescribed} with {answer.status}"
    content = response.get("content")
    if not content:
        assert answer.text == ""
        return
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    assert media_type in content, f"{method} {path} answers {answer.status} with {media_type or 'nothing'}"
    described = {**content[media_type]["schema"], "components": DOCUMENT["components"]}
    Draft202012Validator(described, format_checker=formats).validate(answer.json)


BET = {"user_id": "1", "market_id": "m", "selection_id": "s", "side": "LAY", "stake": "10", "odds": "3.5"}
FLOW: list[tuple[str, str, Any, int]] = [
    (
        "POST",
        "/portfolio",
        {"user_id": "1", "allocation": TARGET, "cash": "1", "policy": {"band": {"type": "hybrid"}}},
        201,
    ),
    ("POST", "/portfolios", {"user_id": "2"}, 201),
    ("POST", "/portfolio", {"user_id": "1"}, 409),
    ("POST", "/portfolio", {"user_id": "#"}, 400),
    ("POST", "/portfolio", "{}" + " " * 65_536, 413),
    ("GET", "/portfolios", None, 200),
    ("GET", "/portfolios/{portfolio_id}", None, 200),
    ("PATCH", "/portfolios/{portfolio_id}", {"band": {"type": "absolute", "value": 1}}, 200),
    ("POST", "/rebalance", {"user_id": "1", "new_allocation": WEIGHTS, "request_id": "drift-2026-11-21"}, 202),
    ("GET", "/portfolios/{portfolio_id}/rebalances/{rebalance_id}", None, 200),
    ("WORK", "", None, 0),
    ("GET", "/portfolios/{portfolio_id}/rebalances/{rebalance_id}", None, 200),
    ("POST", "/rebalance", {"user_id": "1", "new_allocation": TARGET, "request_id": "inside"}, 202),
    ("WORK", "", None, 0),
    ("GET", "/portfolios/{portfolio_id}/rebalances", None, 200),
    ("GET", "/portfolios/{portfolio_id}/transactions", None, 200),
    ("POST", "/portfolios/{portfolio_id}/rebalances/preview", {"new_allocation": WEIGHTS}, 200),
    ("POST", "/rebalance", {"user_id": "1", "new_allocation": WEIGHTS, "as_of": "2999-01-01T00:00:00Z"}, 422),
    ("POST", "/rebalance", {"user_id": "9", "new_allocation": WEIGHTS}, 404),
    ("PUT", "/portfolios/{portfolio_id}/allocation", {"allocation": {"cash": 100}}, 200),
    ("DELETE", "/portfolios/{portfolio_id}", None, 204),
    ("GET", "/portfolios/{portfolio_id}", None, 200),
    ("POST", "/orders", BET, 201),
    ("POST", "/orders", {**BET, "stake": 0}, 400),
    ("POST", "/orders", {**BET, "stake": 1_000_000}, 422),
    ("GET", "/orders", None, 400),
    ("GET", "/orders/open/{user_id}", None, 200),
    ("GET", "/orders/{order_id}", None, 200),
    ("POST", "/orders/{order_id}/settle", {"result": "dead_heat", "dead_heat_factor": "1/3"}, 200),
    ("POST", "/orders/{order_id}/settle", {"won": True}, 409),
    ("POST", "/orders/{order_id}/resettle", {"won": True, "reason": "A wrong result."}, 200),
    ("POST", "/orders/{order_id}/cancel", None, 409),
    ("GET", "/positions/{user_id}", None, 200),
    ("GET", "/metrics/{user_id}", None, 200),
    ("GET", "/markets/{market_id}/settlement", None, 404),
    ("GET", "/markets/{market_id}", None, 200),
    ("POST", "/markets/{market_id}/{action}", None, 200),
    ("POST", "/orders", {**BET, "selection_id": "t"}, 409),
    ("POST", "/markets/{market_id}/settle", {"winners": [], "commission_rate": "2.5"}, 202),
    ("GET", "/markets/{market_id}/settlement", None, 200),
    ("POST", "/markets/{market_id}/{action}", None, 409),
    ("POST", "/markets/{market_id}/resettle", {"winners": ["s"], "reason": "A wrong result."}, 409),
]
BETTING_IDS = {"user_id": "1", "market_id": "m", "action": "suspend", "order_id": derive_order_id("demo", "1", "bet")}
IDS = {**BETTING_IDS, "portfolio_id": ID, "rebalance_id": "731eb848-c0f2-552f-b8d8-c216b7119182"}


def test_every_answer_is_one_that_the_document_describes(system: System) -> None:
    for method, path, body, status in FLOW:
        if method == "WORK":
            system.drain_queue()
            continue
        headers = {"Idempotency-Key": "bet"} if body == BET else {}
        answer = system.http(method, path.format(**IDS), body, headers=headers)
        assert answer.status == status, f"{method} {path}: {answer.text}"
        conforms(answer, method, path)
    conforms(system.http("GET", "/portfolios", authorizer=None), "GET", "/portfolios")
    conforms(system.http("GET", "/portfolios", authorizer=authorized(scope="")), "GET", "/portfolios")


@pytest.mark.parametrize("is_well", [True, False])
def test_health_answers_as_it_is_described(system: System, is_well: bool) -> None:
    with mock.patch.object(platform_function, "_queue_state", return_value="ok" if is_well else "unreachable"):
        raw = platform_function.handler(gateway_event("GET", "/health"), LambdaContext())
    conforms(
        Answer(raw["statusCode"], {"Content-Type": raw["multiValueHeaders"]["Content-Type"][0]}, raw["body"]),
        "GET",
        "/health",
    )


def test_a_service_that_is_busy_is_described_for_every_route_that_needs_a_token() -> None:
    undescribed = [path for _, path, it in OPERATIONS if it.get("security") and "503" not in it["responses"]]
    assert undescribed == []


TRADE = {"ref_id": "t1", "side": "BUY", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "amount": 10}


def test_every_event_fits_its_schema(system: System) -> None:
    seen: set[str] = set()

    def look() -> None:
        for item in [*system.items(), *stored_items(BETTING_TABLE)]:
            for event in events_of({"dynamodb": {"NewImage": item}}):
                schema(event["type"]).validate(event)
                seen.add(event["type"])

    report = {"user_id": "1", "new_allocation": WEIGHTS}
    for method, path, body in (
        ("POST", "/portfolio", {"user_id": "1", "allocation": TARGET}),
        ("PATCH", f"/portfolios/{ID}", {"cooldown_seconds": 60}),
        ("POST", "/rebalance", {**report, "request_id": "done"}),
        ("WORK", "", None),
        ("POST", "/rebalance", {**report, "request_id": "refused"}),
        ("POST", f"/portfolios/{ID}/trades", TRADE),
        ("POST", f"/portfolios/{ID}/cash", {"ref_id": "c1", "type": "deposit", "amount": 50}),
        ("PATCH", f"/portfolios/{ID}/cash/c1", {"amount": 60}),
        ("PUT", f"/portfolios/{ID}/cash-tracking", {"cash_tracking": "margin"}),
        ("PATCH", f"/portfolios/{ID}/trades/t1", {"quantity": 2}),
        ("DELETE", f"/portfolios/{ID}", None),
        ("POST", "/orders", BET),
        ("POST", f"/orders/{BETTING_IDS['order_id']}/settle", {"won": True}),
        ("POST", f"/orders/{BETTING_IDS['order_id']}/resettle", {"won": False, "reason": "A wrong result."}),
        ("POST", "/orders", {**BET, "market_id": "n"}),
        ("POST", f"/orders/{derive_order_id('demo', '1', 'other')}/cancel", None),
        ("POST", "/markets/n/suspend", None),
        ("POST", "/markets/n/reopen", None),
        ("POST", "/markets/n/close", None),
        ("WORK", "", None),
        ("POST", "/portfolio", {"user_id": "2", "allocation": TARGET}),
        ("POST", "/rebalance", {**report, "user_id": "2", "request_id": "stuck"}),
    ):
        if method == "WORK":
            system.drain_queue()
        else:
            headers = {"Idempotency-Key": "bet" if body == BET else "other"} if path == "/orders" else {}
            assert system.http(method, path, body, headers=headers).status < 300
        look()
    clock = {"now": datetime.now(UTC)}
    with mock.patch.object(sweep_function, "utc_now", side_effect=lambda: clock["now"]):
        for _ in range(4):
            clock["now"] += timedelta(days=1)
            system.run_sweeper()
    look()
    schemas = {path.stem for path in (EVENTS / "schemas").iterdir()}
    # A recalculation takes more than 10,000 trades: its event is held by the tests of recalculations. Those of
    # executions need a broker and are not made here.
    executed = {"portfolio.stale", "portfolio.resolved", "rebalance.cancelled", "rebalance.rolled_back"}
    executed |= {"portfolio.backing_off", "symbol.quarantined", "symbol.released", "orders.halted"}
    # Those of nights, late splits, implausible prices and alert rules are held by their own tests.
    of_markets = {"alert.raised", "bars.ingested", "split.entered", "split.amended", "split.withdrawn"}
    of_markets |= {"price.held", "price.released", "price.withdrawn"}
    # Those of imports are held by the tests of imports.
    of_markets |= {"import.completed", "import.undone"}
    of_markets |= {"webhook.disabled"}  # held by the tests of webhooks
    of_markets |= {"contact.disabled", "mail.rejected"}  # held by the tests of contacts
    received = {"rebalance.requested", "quote.received", "insight.received"}
    assert seen == schemas - received - {"recalculation.stuck"} - executed - of_markets
