"""OpenAPI documentation of a route, in the form of arguments for the route decorators of Powertools."""

from http import HTTPStatus
from typing import Any


def route(
    summary: str,
    scope: str | None = None,
    answers: Any = None,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    tag: str,
    accepted: Any = None,
    text: str | None = None,
) -> dict[str, Any]:
    """Return the arguments that document a route: its successful responses, and the token scope that it requires.

    `answers` is the type of the JSON body of the success response, which has `status`. `accepted` is that of a 202
    response. `text` is the media type of a response that is a text, an alternative to JSON where there are both. The
    problems that routes have in common are added to the document when it is generated.
    """
    content: dict[str, Any] = {}
    if answers is not None:
        content["application/json"] = {"model": answers}
    if text is not None:
        content[text] = {"schema": {"type": "string"}}
    responses: dict[int, Any] = {int(status): {"description": status.phrase, "content": content}}
    if accepted is not None:
        responses[int(HTTPStatus.ACCEPTED)] = {
            "description": "A worker completes the request.",
            "content": {"application/json": {"model": accepted}},
        }
    return {
        "summary": summary,
        "tags": [tag],
        "security": [{"bearer": [scope]}] if scope else [],
        "responses": responses,
        "status_code": int(status),
    }
