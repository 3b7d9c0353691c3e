"""gRPC-Web as text: bodies of gRPC-Web in base64, for web pages whose client cannot read binary bodies."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

TEXT, BINARY = "application/grpc-web-text", "application/grpc-web"
_PADDED = re.compile(rb"[^=]+=*")


def decode(text: bytes) -> bytes:
    """Return the bytes of base64 that is padded at the end, or after each frame; raises ValueError for other text.

    >>> decode(b"AAE=Ag==")
    b'\\x00\\x01\\x02'
    """
    return b"".join(b64decode(part, validate=True) for part in _PADDED.findall(text))


def with_text(application: "WSGIApplication") -> "WSGIApplication":
    """Return an application of gRPC-Web for both forms; a call has its response in the form of its request.

    A call in other text than base64 is answered with 400 and no body.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        media_type = str(environ.get("CONTENT_TYPE", ""))
        if not media_type.startswith(TEXT):
            return application(environ, start_response)
        try:
            body = decode(environ["wsgi.input"].read())
        except ValueError:
            start_response(f"{HTTPStatus.BAD_REQUEST:d} Bad Request", [])
            return []
        binary_type = media_type.replace(TEXT, BINARY, 1)
        binary = {
            "CONTENT_TYPE": binary_type,
            "HTTP_CONTENT_TYPE": binary_type,  # the adapter sets both
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
        }

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            texts = [
                (name, value.replace(BINARY, TEXT, 1) if name == "content-type" else value) for name, value in headers
            ]
            return start_response(status, texts, *rest)

        return [b64encode(b"".join(application({**environ, **binary}, start)))]

    return answer
