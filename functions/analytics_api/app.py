"""Settings, services and parameters of the analytics routes, and the choice between JSON and SVG."""

from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from trimtab import composition
from trimtab.analytics.adapters.queues import AnalyticsQueues, AnalyticsQueueSettings
from trimtab.analytics.domain.windows import Span
from trimtab.analytics.schemas.charts import SVG
from trimtab.analytics.service.alert_rules import AlertRules
from trimtab.analytics.service.analysis import Analysis
from trimtab.charts.svg import Theme
from trimtab.composition import AnalysisSettings
from trimtab.contracts.fields import Asset, Day
from trimtab.kernel.clock import utc_now
from trimtab.runtime.http.app import Api
from trimtab.runtime.http.content_negotiation import prefers
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.secrets import read_secret
from trimtab.runtime.sqs.sender import sqs_client

LINK = "/links/{token}"
READ = "analytics:read"
JSON = "application/json"


class AnalyticsSettings(AnalyticsQueueSettings, AnalysisSettings):
    """Environment variables of this function."""

    links_secret_id: str
    public_url: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> AnalyticsSettings:
    """Return the settings, read on first use."""
    return AnalyticsSettings.load()


@lru_cache(maxsize=1)
def analysis() -> Analysis:
    """Return the analysis service, created once for each execution environment."""
    return composition.analysis(settings(), utc_now)


@lru_cache(maxsize=1)
def queues() -> AnalyticsQueues:
    """Return the sender to the queues of valuations and reports."""
    return AnalyticsQueues(sqs_client(), settings())


@lru_cache(maxsize=1)
def alert_rules() -> AlertRules:
    """Return the service of alert rules, created once for each execution environment."""
    return AlertRules(analysis().store, queues(), utc_now)


@lru_cache(maxsize=1)
def signing_key() -> bytes:
    """Return the key that signs links, read on first use."""
    return read_secret(settings().links_secret_id).encode()


app = Api(auth=lambda: settings().auth, open_paths=frozenset({LINK}))
analytics_route = partial(route, tag="Analytics")
chart_route = partial(analytics_route, text=SVG)

WindowSpan = Annotated[Span, Query(description="The length of the window; `custom` takes `from` and `to`.")]
From = Annotated[
    Day | None, Query(alias="from", description="The opening day of a custom window; returns count from the day after.")
]
To = Annotated[Day | None, Query(description="The last day of a custom window.")]
BenchmarkSymbol = Annotated[Asset | None, Query(description="The symbol of a benchmark to compare with.")]
Format = Annotated[
    Literal["json", "svg"] | None,
    Query(description="`svg` for a chart, `json` for figures; without a format the header `Accept` decides."),
]
ChartTheme = Annotated[Theme, Query(description="The background of the chart.")]


def json_or_chart(format: str | None, view: Callable[[], dict[str, Any]], draw: Callable[[], str]) -> Response[Any]:
    """Return JSON or a chart by `format`; without `format`, by the `Accept` header of the request."""
    accept = str(app.current_event.headers.get("accept") or "")
    is_chart = format == "svg" if format else prefers(accept, SVG, JSON)
    answer = svg_response(draw()) if is_chart else json_response(view())
    answer.headers["Vary"] = "Accept"
    return answer


def svg_response(svg: str) -> Response[Any]:
    """Return a chart with headers for browsers: cache for one minute, run no scripts."""
    headers = {
        "Cache-Control": "private, max-age=60",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    }
    return Response(int(HTTPStatus.OK), SVG, svg, headers=headers)
