"""OpenAPI documentation of a route, in the form of arguments for the route decorators of Powertools."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from trimtab.runtime.http.problems import PROBLEM_MEDIA_TYPE, Problem

_REFUSALS = {
    HTTPStatus.BAD_REQUEST: "Validation failed; `errors` names the invalid fields.",
    HTTPStatus.UNAUTHORIZED: "The token is missing or invalid.",
    HTTPStatus.FORBIDDEN: "The token lacks the required scope, or belongs to another user.",
    HTTPStatus.NOT_FOUND: "Not found.",
    HTTPStatus.CONFLICT: "The state of the resource forbids the request, or the id belongs to another request.",
    HTTPStatus.PRECONDITION_FAILED: "`If-Match` does not name the current revision.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body exceeds the size limit.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The media type of the body is not supported.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request is well-formed but violates a rule.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests; retry after `Retry-After` seconds.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Temporarily unavailable; retry after `Retry-After` seconds.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal error; `trace_id` identifies the log lines.",
}


def route(
    summary: str,
    scope: str | None = None,
    answers: type[BaseModel] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    tag: str,
    accepted: type[BaseModel] | None = None,
    text: str | None = None,
) -> dict[str, Any]:
    """Return the arguments that document a route: its responses, and the token scope that the route requires.

    `answers` is the body of the success response, which has `status`. `accepted` is the body of a 202 response.
    `text` is the media type of a response that is a text. Every route documents the same error responses.
    """
    success: dict[str, Any] = {"description": status.phrase, "content": {}}
    if answers is not None:
        success["content"] = {"application/json": {"model": answers}}
    if text is not None:
        success["content"] = {text: {"schema": {"type": "string"}}}
    responses: dict[int, Any] = {int(status): success}
    if accepted is not None:
        later = {
            "description": "A worker completes the request.",
            "content": {"application/json": {"model": accepted}},
        }
        responses[int(HTTPStatus.ACCEPTED)] = later
    problem = {"content": {PROBLEM_MEDIA_TYPE: {"model": Problem}}}
    for refusal, description in _REFUSALS.items():
        responses[int(refusal)] = {"description": description, **problem}
    return {
        "summary": summary,
        "tags": [tag],
        "security": [{"bearer": [scope]}] if scope else [],
        "responses": responses,
        "status_code": int(status),
    }
