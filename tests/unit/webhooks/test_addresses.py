"""Addresses that webhooks must not reach, in a URL and as the answer of a name server."""

import socket
from typing import Any
from unittest import mock

import pytest

from trimtab.kernel.clock import utc_now
from trimtab.webhooks.adapters.sender import RefusedAddress, WebhookSender
from trimtab.webhooks.domain.addresses import is_permitted, to_target

REFUSED = {
    "loopback": "127.0.0.1",
    "other loopback": "127.255.255.254",
    "this host": "0.0.0.0",  # noqa: S104 - the address is refused
    "private 10": "10.1.2.3",
    "private 172": "172.16.0.1",
    "private 192": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "metadata of AWS, link-local": "169.254.169.254",
    "credentials of ECS": "169.254.170.2",
    "benchmarks": "198.18.0.1",
    "documentation": "192.0.2.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "IPv6 loopback": "::1",
    "IPv6 unspecified": "::",
    "IPv6 link-local": "fe80::1",
    "unique local": "fd12:3456::1",
    "metadata of AWS in IPv6": "fd00:ec2::254",
    "IPv6 multicast": "ff02::1",
    "global multicast": "ff0e::1",
    "mapped metadata": "::ffff:169.254.169.254",
    "mapped private": "::ffff:10.0.0.1",
    "compatible loopback": "::7f00:1",
    "NAT64 of metadata": "64:ff9b::a9fe:a9fe",
    "6to4 of private": "2002:0a00:0001::1",
    "Teredo of private": "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "IPv6 documentation": "2001:db8::1",
}


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED)
def test_an_address_that_is_not_public_is_refused_in_a_url_and_as_an_answer_for_a_name(address: str) -> None:
    assert not is_permitted(address)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ValueError, match="public server"):
        to_target(f"https://{host}/")
    answers = [resolved("93.184.216.34"), resolved(address)]
    with (
        mock.patch.object(socket, "getaddrinfo", return_value=answers),
        mock.patch.object(socket, "create_connection", side_effect=AssertionError("connected")),
        pytest.raises(RefusedAddress),
    ):
        WebhookSender().resolve(to_target("https://rebound.example.com/"))


def resolved(address: str) -> Any:
    """Return an answer of the name server as `getaddrinfo` gives it."""
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 443, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"]
)
def test_a_public_address_is_permitted(address: str) -> None:
    assert is_permitted(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "hooks.example.com",
        "https://",
        "https:///path",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com:99999/",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com@127.0.0.1/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nX-Header: 1",
        "https://localhost/",
        "https://intranet/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://" + "a" * 2048 + ".example.com/",
    ],
)
def test_a_url_that_is_not_that_of_a_public_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts differ
        to_target(url)


@pytest.mark.parametrize("url", ["https://[::1/", "https://example.com:https/", "https://example.com:70000/"])
def test_a_url_that_cannot_be_split_is_refused_in_words_of_a_url(url: str) -> None:
    with pytest.raises(ValueError, match="valid host and port"):
        to_target(url)


def test_the_target_of_a_url_has_what_a_request_needs() -> None:
    target = to_target("https://Hooks.Example.com/a/b?c=d")
    assert (target.host, target.port, target.path, target.is_secure) == ("hooks.example.com", 443, "/a/b?c=d", True)
    assert target.authority == "hooks.example.com"
    assert to_target("https://[2606:2800:220:1:248:1893:25c8:1946]").authority.startswith("[2606:")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://localhost:9/", "https://[::1]:8443/"])
def test_a_local_cloud_reaches_this_computer_only_where_the_config_allows_it(url: str) -> None:
    assert to_target(url, allow_local=True).port
    for private in ("10.0.0.1", "169.254.169.254"):
        assert not is_permitted(private, allow_local=True)


def test_the_connection_goes_to_the_address_that_was_checked_without_a_second_look_up() -> None:
    public, private = [resolved("93.184.216.34")], [resolved("10.0.0.1")]
    connected: list[Any] = []

    def connect(address: Any, timeout: float) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    with (
        mock.patch.object(socket, "getaddrinfo", side_effect=[public, private]) as looked_up,
        mock.patch.object(socket, "create_connection", connect),
    ):
        event = {"id": "e1", "type": "webhook.tested"}
        attempt = WebhookSender().send("https://rebound.example.com/", ["whsec_aGVsbG8="], event, utc_now())
    assert (connected, looked_up.call_count) == ([("93.184.216.34", 443)], 1)
    assert attempt.error is not None
    assert "ConnectionRefusedError" in attempt.error
