"""Addresses that webhooks may reach: public ones only, so that no request enters a private network."""

import ipaddress
import re
from urllib.parse import urlsplit

from msgspec import Struct

MAX_URL_LENGTH = 2048
HTTPS_PORT, HTTP_PORT = 443, 80

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PRINTABLE = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.?", re.IGNORECASE)
_EMBEDDING = {
    ipaddress.ip_network("64:ff9b::/96"): 0,  # NAT64
    ipaddress.ip_network("64:ff9b:1::/48"): 0,  # NAT64 of a local network
    ipaddress.ip_network("2002::/16"): 80,  # 6to4
    ipaddress.ip_network("::/96"): 0,  # IPv4-compatible
}
"""IPv6 networks whose addresses contain an IPv4 address, with the position of its last bit."""


class WebhookTarget(Struct, frozen=True):
    """The host and the path of a webhook, taken from its URL."""

    host: str
    port: int
    path: str
    is_secure: bool

    @property
    def authority(self) -> str:
        """The value of the header `Host`: the host, with the port unless it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (HTTPS_PORT if self.is_secure else HTTP_PORT) else f"{host}:{self.port}"


def to_target(url: str, *, allow_local: bool = False) -> WebhookTarget:
    """Return the target of a URL; raises `ValueError` with what is wrong.

    The URL is https on port 443 and has no credentials; a host that is an address is public. `allow_local` also permits
    http, other ports and this computer, for local clouds.
    """
    if len(url) > MAX_URL_LENGTH or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise ValueError(f"Use a URL of at most {MAX_URL_LENGTH} ASCII characters without blanks.")
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise ValueError("Use a URL with a valid host and port.") from None
    is_secure = parts.scheme == "https"
    if not is_secure and not (allow_local and parts.scheme == "http"):
        raise ValueError("Use a URL that begins with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("Use a URL without credentials and without a fragment.")
    port = given_port or (HTTPS_PORT if is_secure else HTTP_PORT)
    if port != HTTPS_PORT and not allow_local:
        raise ValueError("Use the port 443.")
    host = parts.hostname or ""
    if not _is_permitted_host(host, allow_local=allow_local):
        raise ValueError("Use the host name or the address of a public server.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookTarget(host, port, path, is_secure)


def _is_permitted_host(host: str, *, allow_local: bool) -> bool:
    try:
        return is_permitted(host, allow_local=allow_local)
    except ValueError:  # no address, so a name; its addresses are checked before each delivery
        return _HOST_NAME.fullmatch(host) is not None or (allow_local and host == "localhost")


def is_permitted(address: str, *, allow_local: bool = False) -> bool:
    """Return True for an address of the public internet; with `allow_local` for one of this computer, too.

    Raises `ValueError` for a text that is no address.

    >>> is_permitted("93.184.216.34"), is_permitted("169.254.169.254"), is_permitted("::ffff:10.0.0.1")
    (True, False, False)
    """
    if "%" in address:  # the address of one link
        return False
    found = ipaddress.ip_address(address)
    if allow_local and found.is_loopback:
        return True
    return all(each.is_global and not each.is_multicast for each in _with_embedded(found))


def _with_embedded(address: IPAddress) -> list[IPAddress]:
    """Return the address, or the IPv4 addresses inside an IPv6 address that a gateway may translate."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.teredo is not None:
        return [address, *address.teredo]
    for network, shift in _EMBEDDING.items():
        if address in network:
            return [ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)]
    return [address]
