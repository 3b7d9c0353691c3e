"""What is open to all: health, the API's description, and its documentation for people."""

from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler import openapi as openapi_package
from aws_lambda_powertools.event_handler.openapi.swagger_ui import generate_swagger_html
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from trimtab import __version__
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client

OPENAPI = Path(__file__).parent / "generated" / "openapi.json"
SWAGGER = Path(openapi_package.__file__).with_name("swagger_ui")


class PlatformSettings(Settings):
    """What this function is told by its environment."""

    portfolios_table: str
    rebalance_requests_queue_url: str


class Health(BaseModel):
    """Whether the parts answer: `ok`, or the name of what is wrong."""

    status: str
    version: str
    table: str
    queue: str


@lru_cache(maxsize=1)
def settings() -> PlatformSettings:
    """The settings, read on first use."""
    return PlatformSettings.load()


app = Api(auth=None)


healthy_or_not = route("Is it up?", tag="Platform", answers=Health)
healthy_or_not["responses"][503] = {**healthy_or_not["responses"][200], "description": "A part does not answer."}


@app.get("/health", **healthy_or_not)
def health() -> Response[Any]:
    """Ask the table and the queue; 503 if one of them does not answer."""
    table, queue = _table_state(), _queue_state()
    healthy = table == queue == "ok"
    body = {"status": "ok" if healthy else "failing", "version": __version__, "table": table, "queue": queue}
    return json_response(body, HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE)


@app.get("/openapi.json", **route("The OpenAPI document", tag="Platform"))
def openapi() -> Response[Any]:
    """The description of all routes of all functions."""
    return Response(int(HTTPStatus.OK), "application/json", OPENAPI.read_text())


@app.get("/docs", **route("The documentation", tag="Platform"))
def docs() -> Response[Any]:
    """The documentation as a page for people, whole: it loads nothing from elsewhere."""
    script, style = (SWAGGER / name for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css"))
    # Inside a script element the text must not hold a closing tag.
    spec = OPENAPI.read_text().replace("</", "<\\/")
    page = generate_swagger_html(spec, script.read_text(), style.read_text(), "", None)
    return Response(int(HTTPStatus.OK), "text/html; charset=utf-8", page)


def _table_state() -> str:
    try:
        state = dynamodb_client().describe_table(TableName=settings().portfolios_table)["Table"]["TableStatus"]
    except (ClientError, BotoCoreError):
        logger.exception("the table does not answer")
        return "unreachable"
    return "ok" if state == "ACTIVE" else state.lower()


def _queue_state() -> str:
    try:
        url = settings().rebalance_requests_queue_url
        sqs_client().get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    except (ClientError, BotoCoreError):
        logger.exception("the queue does not answer")
        return "unreachable"
    return "ok"


handler = lambda_handler(app)
