"""The generated client of the RPCs, with the gateway and the real handler in the place of a network."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from connectrpc.code import Code
from connectrpc.codec import Codec, proto_json_codec
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from pyqwest import Headers, SyncClient, SyncRequest, SyncResponse

from functions.betting_rpc import handler as function
from functions.betting_rpc.generated import orders_pb as pb
from functions.betting_rpc.generated.orders_connect import OrderServiceClientSync
from tests.support.system import LambdaContext, authorized, gateway_event

SERVICE = "/trimtab.betting.v1.OrderService"


@dataclass
class Gateway:
    """The gateway as a transport of the client: every body is handed over as base64, and base64 comes out as bytes."""

    authorizer: dict[str, str] | None

    def execute_sync(self, request: SyncRequest) -> SyncResponse:
        """The handler's answer."""
        method = request.url.rpartition("/")[2]
        content = request.content if isinstance(request.content, bytes) else b"".join(request.content)
        answer = called(method, content, dict(request.headers.items()), self.authorizer)
        headers = [(name, value) for name, values in answer["multiValueHeaders"].items() for value in values]
        return SyncResponse(status=answer["statusCode"], headers=Headers(headers), content=body_of(answer))


def called(method: str, body: bytes, headers: dict[str, str], authorizer: dict[str, str] | None) -> Any:
    """The handler's answer to a request."""
    path = f"{SERVICE}/{method}"
    event = gateway_event("POST", path, base64.b64encode(body).decode(), headers=headers, authorizer=authorizer)
    event |= {"isBase64Encoded": True, "resource": function.app.path, "pathParameters": {"method": method}}
    return function.handler(event, LambdaContext())


def body_of(answer: Any) -> bytes:
    """The body of an answer as a client gets it."""
    body = str(answer["body"])
    return base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()


def client(
    codec: Codec[Any, Any] | None = None, protocol: ProtocolType = ProtocolType.CONNECT, **caller: str
) -> OrderServiceClientSync:
    """A client with a token of the tenant `demo`, unless told otherwise."""
    http_client = SyncClient(transport=Gateway(authorized(**caller)))
    return OrderServiceClientSync("http://gateway", codec=codec, protocol=protocol, http_client=http_client)


KINDS: dict[str, Callable[..., OrderServiceClientSync]] = {
    "binary": client,
    "json": partial(client, proto_json_codec()),
    "grpc-web": partial(client, None, ProtocolType.GRPC_WEB),
}
"""A client of each kind."""


def refused(code: Code, reason: str, call: Callable[..., Any], *arguments: Any) -> pb.Problem:
    """The problem with which a call is refused."""
    with pytest.raises(ConnectError) as raised:
        call(*arguments)
    assert raised.value.code is code, raised.value.message
    (detail,) = raised.value.details
    problem = detail.value(pb.Problem)
    assert problem is not None
    assert problem.type == f"urn:trimtab:problem:{reason}"
    assert (problem.detail, problem.trace_id != "") == (raised.value.message, True)
    return problem
