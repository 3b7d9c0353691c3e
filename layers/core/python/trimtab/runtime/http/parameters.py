"""Route parameters shared by several functions."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

from trimtab.contracts.fields import Identifier, KeyText, WholeParameter
from trimtab.kernel.errors import Invalid, PreconditionFailed

PortfolioId = Annotated[Identifier, Path(description="The `portfolio_id` of a portfolio.")]
RebalanceId = Annotated[Identifier, Path(description="The `rebalance_id` of a rebalance.")]
IdempotencyKey = Annotated[
    KeyText | None,
    Header(
        alias="Idempotency-Key",
        description="Makes the request safe to retry: 1 to 255 printable ASCII characters, quoted or not. "
        "The same key with another body gets 409.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The `ETag` that was read; another revision is not changed."),
]
Limit = Annotated[WholeParameter, Query(ge=1, le=100, description="The maximum number of items on a page.")]
Cursor = Annotated[str | None, Query(description="The `next_cursor` of the page before.")]


def one_request_id(header: str | None, member: str | None) -> str | None:
    """Return the request id from the Idempotency-Key header, the body or both; raises `Invalid` if they differ."""
    if header and member and header != member:
        raise Invalid("two_request_ids", "The Idempotency-Key header and `request_id` differ; give one of them.")
    return header or member


def require_revision(if_match: str | None, revision: int) -> None:
    """Raise `PreconditionFailed` if an If-Match header names other revisions than the current one."""
    if if_match is None or if_match.strip() == "*":
        return
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(",")]
    if str(revision) not in tags:
        raise PreconditionFailed(
            "revision_mismatch", f"The resource is at revision {revision}. Read the resource again before changing it."
        )
