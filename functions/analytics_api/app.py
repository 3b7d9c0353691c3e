"""What the routes of analytics share: the settings, the services as they are wired, the parameters."""

from collections.abc import Callable
from datetime import date
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from trimtab import composition
from trimtab.analytics.adapters.series import DynamoSeries
from trimtab.analytics.adapters.work import WorkQueues, WorkSettings
from trimtab.analytics.domain.windows import Span
from trimtab.analytics.schemas.charts import SVG
from trimtab.analytics.service.analysis import Analysis, Wanted
from trimtab.analytics.service.rules import AlertRules
from trimtab.charts.svg import Theme
from trimtab.composition import AnalysisSettings
from trimtab.contracts.fields import Asset, Day
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api
from trimtab.runtime.http.content_negotiation import prefers
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.http_client import read_secret
from trimtab.runtime.sqs.sender import sqs_client

LINK = "/links/{token}"
READ = "analytics:read"
JSON = "application/json"


class AnalyticsSettings(WorkSettings, AnalysisSettings):
    """What this function is told by its environment."""

    links_secret_id: str
    public_url: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> AnalyticsSettings:
    """The settings, read on first use."""
    return AnalyticsSettings.load()


@lru_cache(maxsize=1)
def analysis() -> Analysis:
    """The analysis, wired to the tables of three contexts."""
    return composition.analysis(settings(), utc_now)


@lru_cache(maxsize=1)
def work() -> WorkQueues:
    """The queues of valuations and reports."""
    return WorkQueues(sqs_client(), settings())


@lru_cache(maxsize=1)
def alert_rules() -> AlertRules:
    """The alert rules, wired to DynamoDB and SQS."""
    return AlertRules(DynamoSeries(dynamodb_client(), settings().analytics_table), work(), utc_now)


@lru_cache(maxsize=1)
def signing_key() -> bytes:
    """The key that links are signed with."""
    return read_secret(settings().links_secret_id).encode()


app = Api(auth=lambda: settings().auth, open_paths=frozenset({LINK}))
analytics_route = partial(route, tag="Analytics")

Window = Annotated[Span, Query(description="How far back; `custom` takes `from` and `to`.")]
From = Annotated[
    Day | None, Query(alias="from", description="Where a custom window opens: its first day counts no more.")
]
To = Annotated[Day | None, Query(description="The last day of a custom window.")]
BenchmarkSymbol = Annotated[Asset | None, Query(description="A symbol to compare with.")]
Format = Annotated[
    Literal["json", "svg"] | None,
    Query(description="`svg` answers with a picture, `json` with figures; without it the header `Accept` decides."),
]
PictureTheme = Annotated[Theme, Query(description="The background of the picture.")]


def wanted(window: Span, first: date | None, last: date | None, benchmark: str | None) -> Wanted:
    """The window as it was asked for."""
    return Wanted(window, first, last, benchmark)


def json_or_picture(format: str | None, view: Callable[[], dict[str, Any]], draw: Callable[[], str]) -> Response[Any]:
    """The answer in the form that `format` says or, where that is silent, the request's `Accept` prefers."""
    accept = str(app.current_event.headers.get("accept") or "")
    is_picture = format == "svg" if format else prefers(accept, SVG, JSON)
    answer = picture(draw()) if is_picture else json_response(view())
    answer.headers["Vary"] = "Accept"
    return answer


def picture(svg: str) -> Response[Any]:
    """A picture; a browser keeps it for a minute, and runs nothing that is in it."""
    headers = {
        "Cache-Control": "private, max-age=60",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(int(HTTPStatus.OK), SVG, svg, headers=headers)
