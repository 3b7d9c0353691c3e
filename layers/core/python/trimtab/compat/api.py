"""The base of the functions that serve the routes of earlier APIs: exact JSON numbers, and errors in their form."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import msgspec
from aws_lambda_powertools.event_handler import Response

from trimtab.compat.proxied_paths import match_resource, proxied_path
from trimtab.kernel.money import plain
from trimtab.runtime.http.app import Api
from trimtab.runtime.http.problems import PROBLEM_MEDIA_TYPE

JSON = "application/json"
Problem = Mapping[str, Any]
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class CompatApi(Api):
    """The routes of an earlier API. `error_form` returns the body of an error for the members of a problem document."""

    def __init__(self, *, auth: Callable[[], str], error_form: Callable[[Problem], Any]) -> None:
        super().__init__(auth=auth)
        self._error_form = error_form

    def resolve_request(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Return the response to an event of API Gateway; an error keeps its status and its headers."""
        answer = super().resolve_request(self._with_resource(event), context)
        media_type = answer["multiValueHeaders"].get("Content-Type")
        if media_type != [PROBLEM_MEDIA_TYPE]:
            return answer
        headers = {**answer["multiValueHeaders"], "Content-Type": [JSON]}
        body = json.dumps(self._error_form(json.loads(answer["body"]))) if answer["body"] else ""
        return {**answer, "multiValueHeaders": headers, "body": body}

    def _with_resource(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the event with the resource of the API that the path names, as if the gateway had that resource."""
        path = proxied_path(event)
        resource, parameters = match_resource(path, {route.openapi_path for route in self._routes()}) or (path, {})
        return {**event, "resource": resource, "pathParameters": parameters}


def error_text(problem: Problem) -> dict[str, str]:
    """Return an error as one text, the invalid fields by name.

    >>> error_text({"detail": "Validation failed; see `errors`.", "errors": [{"field": "odds", "detail": "Too low."}]})
    {'error': 'odds: Too low.'}
    """
    errors = [f"{error['field']}: {error['detail']}" for error in problem.get("errors", ())]
    return {"error": " ".join(errors) or str(problem["detail"])}


def number_response(body: Any, status: HTTPStatus = HTTPStatus.OK) -> Response[str]:
    """Return a JSON response whose decimals are JSON numbers, digit by digit and never rounded to a float."""
    return Response(int(status), JSON, _ENCODER.encode(body).decode())


def exact(number: Decimal) -> Decimal:
    """Return the number without trailing zeros, and with no exponent above zero.

    >>> exact(Decimal("60.0000")), exact(Decimal("1E+2"))
    (Decimal('60'), Decimal('100'))
    """
    return Decimal(plain(number))
