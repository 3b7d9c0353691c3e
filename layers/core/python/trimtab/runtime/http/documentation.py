"""What a route says about itself in the OpenAPI document, in the form that Powertools reads."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from trimtab.runtime.http.problems import PROBLEM_MEDIA_TYPE, Problem

_REFUSALS = {
    HTTPStatus.BAD_REQUEST: "The request does not have the form that is asked for; `errors` names the fields.",
    HTTPStatus.UNAUTHORIZED: "No token, or one that is not valid here.",
    HTTPStatus.FORBIDDEN: "The token does not carry the scope, or acts for another user.",
    HTTPStatus.NOT_FOUND: "Not there, or not yours.",
    HTTPStatus.CONFLICT: "Its state does not allow this, or the same id came with another body.",
    HTTPStatus.PRECONDITION_FAILED: "If-Match names another revision.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the limit.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A well-formed request that a rule refuses.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests; wait as long as Retry-After says.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Busy, or a part does not answer; wait as long as Retry-After says.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something failed on our side; `trace_id` finds it in the log.",
}


def route(
    summary: str,
    scope: str | None = None,
    answers: type[BaseModel] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    tag: str,
    accepted: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """The documentation of a route, and the scope that it needs: the check reads it from here."""
    success: dict[str, Any] = {"description": status.phrase, "content": {}}
    if answers is not None:
        success["content"] = {"application/json": {"model": answers}}
    responses: dict[int, Any] = {int(status): success}
    if accepted is not None:
        later = {"description": "A worker will do it.", "content": {"application/json": {"model": accepted}}}
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
