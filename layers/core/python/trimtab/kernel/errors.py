"""Refusals: requests that are understood and turned down, each with a stable type and a detail to act on."""

from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """A request turned down for a reason that its sender can act on.

    `type` is the stable machine-readable reason (snake_case), `detail` the sentence a person reads. Over HTTP a
    refusal is a problem document; on a queue it is recorded as the outcome of the request.
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
    """The request does not have the shape that is asked for."""


class TooLarge(Refusal):
    """The request is larger than the limit."""


class UnsupportedMedia(Refusal):
    """The request's body is of a type that is not read here."""


class Unauthenticated(Refusal):
    """Nobody is known to stand behind the request."""


class Forbidden(Refusal):
    """The caller is known and may not do this."""


class NotFound(Refusal):
    """The thing does not exist, or not for this caller."""


class Conflict(Refusal):
    """The thing is in a state that does not allow this."""


class PreconditionFailed(Refusal):
    """The thing is no longer the one that the caller has seen."""


class Unprocessable(Refusal):
    """A well-formed request that a rule refuses."""


class Unavailable(Refusal):
    """Something that is needed does not answer; the same request may succeed later."""


def no_such_thing() -> NotFound:
    """One answer for what is not there and for what is somebody else's: it must not tell which."""
    return NotFound("not_found", "There is no such thing here, or it is not yours.")


def invalid_cursor() -> Invalid:
    """The answer to a cursor that was not given out for this very list."""
    return Invalid("invalid_cursor", "Give the next_cursor of this very list, or none to start at the newest.")
