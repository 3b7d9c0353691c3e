"""Refusals: exceptions that reject a request, each with a stable type and a message for the sender."""

from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """A request rejected for a reason that the sender can act on.

    `type` is the stable machine-readable reason (snake_case), `detail` a sentence for people. `errors` has one mapping
    with `field` and `detail` for each invalid field. `retry_after_seconds` is set if the same request may succeed
    later. Over HTTP a refusal becomes a problem document (RFC 9457); on a queue it is recorded as the outcome of the
    request.
    """

    def __init__(
        self,
        type: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{type}: {detail}")
        self.type = type
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds


class Invalid(Refusal):
    """The request is malformed (400)."""


class TooLarge(Refusal):
    """The request is larger than the limit (413)."""


class UnsupportedMedia(Refusal):
    """The media type of the request body is not supported (415)."""


class Unauthenticated(Refusal):
    """The request carries no valid credentials (401)."""


class Forbidden(Refusal):
    """The caller is not permitted to make the request (403)."""


class NotFound(Refusal):
    """The resource does not exist, or the caller may not see it (404)."""


class MethodNotAllowed(Refusal):
    """The resource exists but does not have the method (405)."""


class Conflict(Refusal):
    """The state of the resource does not permit the request (409)."""


class PreconditionFailed(Refusal):
    """The resource has changed since the caller read the revision named in the request (412)."""


class Unprocessable(Refusal):
    """A well-formed request violates a rule (422)."""


class Unavailable(Refusal):
    """A backing service does not respond; the same request may succeed later (503)."""


def not_found(resource: str) -> NotFound:
    """Return the refusal for a resource that does not exist.

    A resource of another tenant or user gets the same refusal, so that no response reveals which resources exist.

    >>> not_found("portfolio").detail
    'Not found: portfolio.'
    """
    return NotFound("not_found", f"Not found: {resource}.")


def invalid_cursor() -> Invalid:
    """Return the refusal for a cursor that does not belong to the list requested."""
    return Invalid(
        "invalid_cursor", "The cursor belongs to another list. Use the `next_cursor` of the same query, or no cursor."
    )
