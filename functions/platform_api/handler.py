"""Routes of the platform: health, the OpenAPI document, pages for people, and operational metrics."""

import json
from functools import lru_cache
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler import openapi as openapi_package
from aws_lambda_powertools.event_handler.openapi.params import Path as PathParameter
from aws_lambda_powertools.event_handler.openapi.swagger_ui import generate_swagger_html
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from trimtab import __version__
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import NotFound
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.problems import PROBLEM_TYPE
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.observability import logger
from trimtab.runtime.openmetrics import CONTENT_TYPE, MEDIA_TYPE, openmetrics_text
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client

OPENAPI = Path(__file__).parent / "generated" / "openapi.json"
PROBLEMS = OPENAPI.with_name("problems.json")
SWAGGER = Path(openapi_package.__file__).with_name("swagger_ui")

REQUESTS_QUEUE = "rebalance-requests"
HEALTH_FRESH_SECONDS = 5
HEALTH_CACHE = {"Cache-Control": f"public, max-age={HEALTH_FRESH_SECONDS}"}
RELEASE_CACHE = {"Cache-Control": "public, max-age=3600"}
"""The cache of responses that change only with a deployment."""


class PlatformSettings(Settings):
    """The settings of the platform routes."""

    portfolios_table: str
    rebalance_requests_queue_url: str
    auth: str
    work_queues: str
    failure_queues: str


class Health(BaseModel):
    """The state of the table and the queue."""

    status: str
    """`ok`, or `failing` where the table or the queue does not respond. Example: `ok`"""
    version: str
    """The version of Trimtab."""
    table: str
    """`ok`, or a word for the failure of the table. Example: `ok`"""
    queue: str
    """`ok`, or a word for the failure of the queue. Example: `ok`"""


@lru_cache(maxsize=1)
def settings() -> PlatformSettings:
    """Return the settings, read on first use."""
    return PlatformSettings.load()


OPEN_PATHS = frozenset({"/health", "/openapi.json", "/docs", "/problems/{name}"})
app = Api(auth=lambda: settings().auth, open_paths=OPEN_PATHS)


healthy_or_not = route("Check health", tag="Platform", answers=Health)
unhealthy = {**healthy_or_not["responses"][200], "description": "The table or the queue does not respond."}
healthy_or_not["responses"][503] = unhealthy


@app.get("/health", **healthy_or_not)
def check_health() -> Response[Any]:
    """Check the table and the queue; 503 if either does not respond. The result is at most 5 seconds old."""
    table, queue = _states(int(utc_now().timestamp()) // HEALTH_FRESH_SECONDS)
    healthy = table == queue == "ok"
    body = {"status": "ok" if healthy else "failing", "version": __version__, "table": table, "queue": queue}
    return json_response(body, HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, HEALTH_CACHE)


@app.get("/openapi.json", **route("Read the OpenAPI document", answers=dict[str, Any], tag="Platform"))
def read_openapi() -> Response[Any]:
    """Return the OpenAPI document of all routes."""
    return Response(int(HTTPStatus.OK), "application/json", OPENAPI.read_text(), headers=dict(RELEASE_CACHE))


@app.get("/docs", **route("Read the documentation", tag="Platform", text="text/html"))
def read_docs() -> Response[Any]:
    """Return the documentation page (Swagger UI), self-contained."""
    script, style = (SWAGGER / name for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css"))
    # The text stands inside a script element and must not contain a closing tag.
    spec = OPENAPI.read_text().replace("</", "<\\/")
    page = generate_swagger_html(spec, script.read_text(), style.read_text(), "", None)
    return Response(int(HTTPStatus.OK), "text/html; charset=utf-8", page, headers=dict(RELEASE_CACHE))


@lru_cache(maxsize=1)
def _states(_period: int) -> tuple[str, str]:
    """Return the states of the table and the queue, checked once a period: the route is open to everybody."""
    return _table_state(), _queue_state()


@app.get("/problems/<name>", **route("Read about a problem type", tag="Platform", text="text/html"))
def read_problem(
    name: Annotated[str, PathParameter(description="The name after `urn:trimtab:problem:`. Example: `locked`")],
) -> Response[Any]:
    """Return the page of a problem type: statuses, meaning and remedy."""
    explained = json.loads(PROBLEMS.read_text()).get(name)
    if explained is None:
        raise NotFound("not_found", "Not found: problem type. `GET /openapi.json` lists every type.")
    texts = (PROBLEM_TYPE + name, explained["statuses"], explained["meaning"], explained["remedy"])
    type, statuses, meaning, remedy = map(escape, texts)
    page = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{type}</title></head>
<body><h1>{type}</h1><p>Status {statuses}. {meaning}</p><p>What to do: {remedy}</p></body>
</html>
"""
    return Response(int(HTTPStatus.OK), "text/html; charset=utf-8", page, headers=dict(RELEASE_CACHE))


@app.get("/metrics", **route("Read operational metrics", "operator", tag="Operators", text=MEDIA_TYPE))
def read_operations() -> Response[Any]:
    """Return the operational state as OpenMetrics text, for a scrape by Prometheus.

    The gauges are depths and ages of queues, dead letters and pending jobs of the platform, and the portfolios of the
    token's tenant that need a person. Counters are in the metrics of CloudWatch. Reads are bounded: the gauge
    `trimtab_scrape_incomplete` names the parts that are missing or lower bounds.
    """
    # Imported here because health checks must not pay for the imports.
    from functions.platform_api.operations import ScrapedSystem, read_gauges  # noqa: PLC0415

    queue_url = settings().rebalance_requests_queue_url.removesuffix(REQUESTS_QUEUE)
    queues = (settings().work_queues.split(","), settings().failure_queues.split(","))
    gauges = read_gauges(
        ScrapedSystem(settings().portfolios_table, queue_url, *queues), app.caller.tenant_id, utc_now()
    )
    return Response(int(HTTPStatus.OK), CONTENT_TYPE, openmetrics_text(gauges))


def _table_state() -> str:
    try:
        state = dynamodb_client().describe_table(TableName=settings().portfolios_table)["Table"]["TableStatus"]
    except (ClientError, BotoCoreError):
        logger.exception("the table does not respond")
        return "unreachable"
    return "ok" if state == "ACTIVE" else state.lower()


def _queue_state() -> str:
    try:
        url = settings().rebalance_requests_queue_url
        sqs_client().get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    except (ClientError, BotoCoreError):
        logger.exception("the queue does not respond")
        return "unreachable"
    return "ok"


handler = lambda_handler(app)
