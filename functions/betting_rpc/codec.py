"""A codec that reads messages as strictly as the REST routes read bodies."""

from typing import Any

from connectrpc.codec import Codec

from functions.betting_rpc.problems import connect_error
from trimtab.kernel import strict_json
from trimtab.kernel.errors import Invalid, Refusal


class StrictCodec:
    """A wrapper of a codec that reads JSON of bounded depth only, with unique keys and without unknown members.

    The bound on the depth also protects the process: protobuf's own JSON reader crashes on a deeply nested list.
    """

    def __init__(self, codec: Codec[Any, Any]) -> None:
        self._codec = codec

    def name(self) -> str:
        """Return the name of the wrapped codec."""
        return self._codec.name()

    def encode(self, message: Any) -> bytes:
        """Return the bytes of a message."""
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """Return the message; raises `ConnectError` if the bytes do not hold a message of this class."""
        try:
            if self.name() == "json":
                strict_json.loads(data.decode())
            return self._codec.decode(data, message_class)
        except Refusal as refusal:
            raise connect_error(refusal) from None
        except (ValueError, RecursionError) as error:
            problem = f"The body is not a {message_class.__name__}: {error}"
            raise connect_error(Invalid("invalid_request", problem)) from None
