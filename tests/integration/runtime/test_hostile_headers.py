"""Headers and encodings of attackers: each request is answered with a small response, none with 5xx."""

import base64
import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest

from tests.support.rpc import SERVICE, call_method
from tests.support.system import Answer, System, authorized, gateway_event

MAX_ANSWER_BYTES = 8 * 1024
MAX_MEMORY_BYTES = 16 * 1024 * 1024
BODY = {"user_id": "1"}
JSON = {"Content-Type": "application/json"}
ODD_VALUES = {
    "nothing": "",
    "a blank": " ",
    "another line": "x\r\nSet-Cookie: a=b",
    "a zero byte": "a\x00b",
    "a lone surrogate": "\ud800",
    "letters of other alphabets": "é漢😀",
    "64 KiB": "x" * 65_536,
    "10,000 commas": "," * 10_000,
    "10,000 parameters": "a/b" + ";q=1" * 10_000,
    "10,000 quotes": '"' * 10_000,
    "a number without end": "9" * 5_000,
    "a format": "%s%n{0}${jndi:ldap://127.0.0.1/a}",
    "a path": "../../etc/passwd",
}
NAMES = [
    *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Encoding", "Content-Length"),
    *("Content-Type", "Cookie", "Expect", "Forwarded", "Host", "Idempotency-Key", "If-Match", "If-None-Match"),
    *("Origin", "Range", "Transfer-Encoding", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "traceparent"),
    *("X-HTTP-Method-Override", "X-Amzn-Trace-Id", "Access-Control-Request-Headers", "x-api-key"),
]
"""Headers that some code reads: that of the system, of its libraries, or of the proxies in front."""


def assert_harmless(answer: Answer, *statuses: int) -> None:
    """Assert that the answer is small, has one of these statuses and no line break in a header."""
    assert answer.status in statuses, answer.text
    assert len(answer.text.encode()) < MAX_ANSWER_BYTES
    for name, value in answer.headers.items():
        assert not set(f"{name}{value}") & set("\r\n\0"), name
        assert len(value) < 1_024, name


@pytest.mark.parametrize("name", NAMES)
def test_a_header_with_an_odd_value_has_a_small_answer_without_5xx(system: System, name: str) -> None:
    for value in ODD_VALUES.values():
        assert_harmless(system.http("GET", "/portfolios", headers={name: value}), 200, 400, 406)
        created = system.http("POST", "/portfolio", BODY, headers={name: value})
        assert_harmless(created, 201, 400, 406, 409, 415)


def test_ten_thousand_headers_have_a_small_answer(system: System) -> None:
    headers = {f"X-{number}": "x" * 100 for number in range(10_000)}
    assert_harmless(system.http("GET", "/portfolios", headers=headers), 200)
    assert_harmless(system.http("GET", "/portfolios", headers={"X" * 100_000: "x"}), 200)


@pytest.mark.parametrize("value", [None, 5, True, ["a"], {"a": "b"}], ids=str)
def test_a_header_that_is_no_text_is_no_5xx(system: System, value: Any) -> None:
    for name in ("Accept", "Content-Type", "Idempotency-Key", "Origin", "traceparent"):
        event = gateway_event("GET", "/portfolios", headers={name: value}, authorizer=authorized())
        assert_harmless(system.answer(event), 200, 400, 406, 415)


@pytest.mark.parametrize("headers", [None, {}])
def test_a_request_without_headers_is_answered(system: System, headers: Any) -> None:
    event = gateway_event("GET", "/portfolios", authorizer=authorized())
    assert_harmless(system.answer(event | {"headers": headers, "multiValueHeaders": headers}), 200)


def test_a_header_sent_twice_cannot_smuggle_a_media_type(system: System) -> None:
    event = gateway_event("POST", "/portfolio", BODY, authorizer=authorized())
    twice: dict[str, Any] = {
        "headers": {"content-type": "application/json", "Content-Type": "text/plain"},
        "multiValueHeaders": {"Content-Type": ["application/json", "text/plain"]},
    }
    assert_harmless(system.answer(event | twice), 415)


def test_a_method_in_a_header_or_in_the_query_has_no_effect(system: System) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}"
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        assert_harmless(system.http("GET", path, headers={name: "DELETE"}), 200)
    assert_harmless(system.http("GET", path, query={"_method": "DELETE"}), 400)
    assert system.http("GET", path).json["status"] == "ACTIVE"


# Encodings ------------------------------------------------------------------------------------------------------------

PLAIN = json.dumps(BODY).encode()
BOMB = gzip.compress(b"0" * 64 * 1024 * 1024)
"""64 MiB in 64 KiB."""
CHUNKS = b"ffffffffffffffff\r\n" + b"1\r\n{\r\n" * 2_000 + b"0\r\n\r\n"
ENCODED = {
    "gzip": ("gzip", gzip.compress(PLAIN)),
    "deflate": ("deflate", zlib.compress(PLAIN)),
    "br": ("br", b"\x0b\x07\x80" + PLAIN + b"\x03"),
    "zstd": ("zstd", b"\x28\xb5\x2f\xfd" + PLAIN),
    "gzip of gzip": ("gzip, gzip", gzip.compress(gzip.compress(PLAIN))),
    "an unknown encoding": ("x" * 10_000, gzip.compress(PLAIN)),
    "gzip called br": ("br", gzip.compress(PLAIN)),
    "half a gzip": ("gzip", gzip.compress(PLAIN)[:12]),
    "a wrong checksum": ("gzip", gzip.compress(PLAIN)[:-8] + bytes(8)),
    "3,000 empty members": ("gzip", gzip.compress(b"") * 3_000),
    "a bomb": ("gzip", BOMB[:49_000]),
    "a bomb called deflate": ("deflate", BOMB[:49_000]),
    "a bomb in a bomb": ("gzip", gzip.compress(BOMB)),
    "chunks without end": ("chunked", CHUNKS),
}


def peak_memory(action: Any) -> int:
    """Return the most memory, in bytes, that the action took."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ENCODED)
def test_an_encoded_body_is_refused_without_decoding(system: System, name: str) -> None:
    """API Gateway decodes gzip and deflate, up to a limit; a body that is still encoded is no JSON."""
    encoding, body = ENCODED[name]
    for header in ("Content-Encoding", "Transfer-Encoding"):
        event = gateway_event("POST", "/portfolio", "", headers={header: encoding}, authorizer=authorized())
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        assert peak_memory(lambda: assert_harmless(system.answer(event), 400, 413)) < MAX_MEMORY_BYTES  # noqa: B023
    assert system.items() == []


@pytest.mark.parametrize("name", ENCODED)
def test_an_encoded_call_is_answered_or_refused_within_the_limit_of_a_message(system: System, name: str) -> None:
    encoding, body = ENCODED[name]
    for media_type in ("application/json", "application/proto", "application/grpc-web+proto"):
        headers = {"Content-Type": media_type, "Content-Encoding": encoding, "Grpc-Encoding": encoding}
        answers: list[Any] = []
        taken = peak_memory(lambda: answers.append(call_method("ListOrders", body, headers, authorized())))  # noqa: B023
        (answer,) = answers
        assert taken < MAX_MEMORY_BYTES
        assert answer["statusCode"] < 500, (media_type, answer)
        assert len(answer["body"]) < MAX_ANSWER_BYTES


@pytest.mark.parametrize("length", [0, 1, 2**16 + 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("flags", [0, 1, 2, 0x80, 0x81, 0xFF])
def test_a_frame_that_lies_about_its_length_is_refused_within_the_limit(
    system: System, flags: int, length: int
) -> None:
    frame = bytes([flags]) + length.to_bytes(4, "big") + b"{}"
    for media_type in ("application/grpc-web+proto", "application/grpc-web-text+json"):
        text = base64.b64encode(frame) if "text" in media_type else frame
        answers: list[Any] = []
        headers = {"Content-Type": media_type, "Grpc-Encoding": "gzip"}
        taken = peak_memory(lambda: answers.append(call_method("ListOrders", text, headers, authorized())))  # noqa: B023
        assert taken < MAX_MEMORY_BYTES
        assert answers[0]["statusCode"] < 500, (media_type, answers)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_with_an_odd_header_has_a_small_answer_without_5xx(system: System, name: str) -> None:
    for value in ODD_VALUES.values():
        answer = call_method("ListOrders", PLAIN, {**JSON, name: value}, authorized())
        assert answer["statusCode"] < 500, (SERVICE, value, answer)
        assert len(answer["body"]) < MAX_ANSWER_BYTES
