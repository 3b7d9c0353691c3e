"""The generated client of the RPCs, with API Gateway and the handler in place of a network."""

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
    """API Gateway as the transport of the client: bodies are passed as base64, responses decoded to bytes."""

    authorizer: dict[str, str] | None

    def execute_sync(self, request: SyncRequest) -> SyncResponse:
        """Return the response of the handler."""
        method = request.url.rpartition("/")[2]
        content = request.content if isinstance(request.content, bytes) else b"".join(request.content)
        answer = call_method(method, content, dict(request.headers.items()), self.authorizer)
        headers = [(name, value) for name, values in answer["multiValueHeaders"].items() for value in values]
        return SyncResponse(status=answer["statusCode"], headers=Headers(headers), content=body_of(answer))


@dataclass
class AsText:
    """A transport that sends gRPC-Web as text over another transport, as web pages do."""

    transport: Any

    def execute_sync(self, request: SyncRequest) -> Any:
        """Return the response with a binary body."""
        content = request.content if isinstance(request.content, bytes) else b"".join(request.content)
        headers = [(name, value.replace("grpc-web", "grpc-web-text")) for name, value in request.headers.items()]
        text = SyncRequest(request.method, request.url, Headers(headers), base64.b64encode(content))
        response = self.transport.execute_sync(text)
        if not response.headers["content-type"].startswith("application/grpc-web-text"):
            return response  # refused by the gateway
        body = base64.b64decode(b"".join(response.content), validate=True)
        given = [(name, value.replace("grpc-web-text", "grpc-web")) for name, value in response.headers.items()]
        return SyncResponse(status=response.status, headers=Headers(given), content=body)


def call_method(method: str, body: bytes, headers: dict[str, str], authorizer: dict[str, str] | None) -> Any:
    """Return the answer of the handler to a request."""
    path = f"{SERVICE}/{method}"
    event = gateway_event("POST", path, base64.b64encode(body).decode(), headers=headers, authorizer=authorizer)
    event |= {"isBase64Encoded": True, "resource": function.app.path, "pathParameters": {"method": method}}
    return function.handler(event, LambdaContext())


def body_of(answer: Any) -> bytes:
    """Return the body of an answer as bytes."""
    body = str(answer["body"])
    return base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()


def client(
    codec: Codec[Any, Any] | None = None,
    protocol: ProtocolType = ProtocolType.CONNECT,
    *,
    text: bool = False,
    **caller: str,
) -> OrderServiceClientSync:
    """Return a client with a token of the tenant `demo`, by default of the platform."""
    gateway = Gateway(authorized(**caller))
    http_client = SyncClient(transport=AsText(gateway) if text else gateway)
    return OrderServiceClientSync("http://gateway", codec=codec, protocol=protocol, http_client=http_client)


KINDS: dict[str, Callable[..., OrderServiceClientSync]] = {
    "binary": client,
    "json": partial(client, proto_json_codec()),
    "grpc-web": partial(client, None, ProtocolType.GRPC_WEB),
    "grpc-web-text": partial(client, None, ProtocolType.GRPC_WEB, text=True),
    "grpc-web-text-json": partial(client, proto_json_codec(), ProtocolType.GRPC_WEB, text=True),
}
"""The kinds of clients: binary and JSON over Connect, and gRPC-Web, binary and as text."""


def assert_refused(code: Code, reason: str, call: Callable[..., Any], *arguments: Any) -> pb.Problem:
    """Assert that a call is refused with the code and reason, and return the problem."""
    with pytest.raises(ConnectError) as raised:
        call(*arguments)
    assert raised.value.code is code, raised.value.message
    (detail,) = raised.value.details
    problem = detail.value(pb.Problem)
    assert problem is not None
    assert problem.type == f"urn:trimtab:problem:{reason}"
    assert (problem.detail, problem.trace_id != "") == (raised.value.message, True)
    return problem
