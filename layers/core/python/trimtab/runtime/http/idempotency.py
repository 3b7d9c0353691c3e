"""Idempotency keys of requests that create: a key belongs to the first body that was sent with the key.

An effect is idempotent by the ids in the request, with or without a key. The stored key only tells a repeated request
from a different one, so that no crash, no concurrent request and no lost response can repeat or lose an effect.
"""

from typing import Any

from trimtab.contracts.stored_form import FORM
from trimtab.kernel import strict_json
from trimtab.kernel.errors import Conflict, Refusal
from trimtab.kernel.ids import derive_id, request_hash
from trimtab.runtime.dynamodb.client import dynamodb_client, serialize
from trimtab.runtime.http.app import Api
from trimtab.runtime.http.paths import path_parameters

HASH_VERSION = 1


def bind_key(app: Api, key: str | None, table: str) -> None:
    """Bind an idempotency key to the current request, in the table of the business items that the request writes.

    The key is bound for the caller and the path, without expiry. Raises `Conflict` if the key is bound to a request
    with another body or other query parameters. Without a key nothing is written.
    """
    if key is None:
        return
    event: dict[str, Any] = app.current_event.raw_event
    place = [str(event["resource"]), *path_parameters(event).values()]
    partition = f"T#{app.caller.tenant_id}#KEY#{derive_id(app.caller.user_id or '', *place, key)}"
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    content = {"body": _content(app.current_event.decoded_body or ""), "query": query}
    item = {"pk": partition, "sk": "KEY", FORM: 1, "request_hash": request_hash(HASH_VERSION, content, {"query": {}})}
    client = dynamodb_client()
    try:
        client.put_item(
            TableName=table,
            Item=serialize(item),
            ConditionExpression="attribute_not_exists(pk) OR request_hash = :hash",
            ExpressionAttributeValues=serialize({":hash": item["request_hash"]}),
        )
    except client.exceptions.ConditionalCheckFailedException:
        raise Conflict(
            "request_id_reused",
            "The Idempotency-Key belongs to a request with another body. Use a new key for each request.",
        ) from None


def _content(text: str) -> Any:
    """Return the parsed body, so that blanks and the order of members do not matter; a file as text."""
    try:
        return strict_json.loads(text, max_bytes=len(text.encode()))
    except Refusal:
        return text
