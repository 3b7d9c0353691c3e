"""Messages to WebSocket connections, by the management API of API Gateway."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from trimtab.runtime.aws_client import aws_client

if TYPE_CHECKING:
    from types_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

_GONE = 410


class ConnectionGone(Exception):
    """Raised for a connection that the client or API Gateway has closed."""


class PushFailed(Exception):
    """Raised where the management API did not accept a message; the message may have been sent."""


@lru_cache(maxsize=1)
def sockets_client(endpoint: str) -> "ApiGatewayManagementApiClient":
    """Return the client, created on first use. The client tries once: a slow connection must not delay others."""
    client: ApiGatewayManagementApiClient = aws_client(
        "apigatewaymanagementapi",
        endpoint_url=endpoint,
        connect_timeout=1,
        read_timeout=2,
        attempts=1,
        max_pool_connections=20,
    )
    return client


class Sockets(Struct, frozen=True):
    """Sends messages to connections, and closes connections."""

    client: "ApiGatewayManagementApiClient"

    def post(self, connection_id: str, message: Mapping[str, Any]) -> None:
        """Send a message as JSON; raises `ConnectionGone` or `PushFailed`."""
        data = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            self.client.post_to_connection(ConnectionId=connection_id, Data=data)
        except (ClientError, BotoCoreError) as error:
            raise _failure(error) from None

    def close(self, connection_id: str) -> None:
        """Close a connection; raises `ConnectionGone` or `PushFailed`."""
        try:
            self.client.delete_connection(ConnectionId=connection_id)
        except (ClientError, BotoCoreError) as error:
            raise _failure(error) from None


def _failure(error: Exception) -> Exception:
    if isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] == _GONE:
        return ConnectionGone()
    return PushFailed(f"{type(error).__name__} {error}"[:200])
