"""Where a call to another server may go: an address read in only one way, and never into the networks of the house."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST_URL = 2000
PORTS = {"https": 443, "http": 80}

# Public by the book, but nobody's web server: relays and tunnels that end somewhere else, and one cloud's own services.
_ODD = [
    ipaddress.ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
        *("2001::/23", "2002::/16", "64:ff9b:1::/48", "fec0::/10", "::/96", "3fff::/20"),
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv6-only network's way to IPv4: as good as the address inside
_LABEL = re.compile(r"^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$")


class Refused(ValueError):
    """An address that is never called, in one sentence; trying again would not help."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, read once and strictly."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"


def read(url: str) -> Target:
    """A URL in its parts, if it is one that can only be understood in one way. Raises Refused."""
    if len(url) > LONGEST_URL or not url.isascii() or any(c <= " " or c in "\\\x7f" for c in url):
        raise Refused("The address must be plain letters without spaces, at most 2,000 of them.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("The address cannot be read; write it like https://example.com/hook.") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise Refused("Write the whole address, such as https://example.com/hook.")
    if "@" in parts.netloc:
        raise Refused("An address with a name and password in it is not called; leave them out.")
    return Target(parts.scheme, _host(parts), PORTS[parts.scheme] if port is None else port, _path(parts))


def _host(parts: SplitResult) -> str:
    host = str(parts.hostname).lower()
    if ":" in host:
        if "%" in host or not _is_address(host):
            raise Refused("The address in brackets is not one that can be called.")
        return host
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.match(label) for label in labels):
        raise Refused(f"{host} is not the name of a server.")
    return ".".join(labels)


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def may_be_called(text: str, *, own: bool = False) -> bool:
    """Whether an address is a public one, or (`own`) one of the house's; never a link's own, nor one that tunnels to another."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False  # a zone (fe80::1%eth0), or no address at all
    return _is_own(_bare(address)) if own else _is_public(_bare(address))


def _bare(address: Address) -> Address:
    """The IPv4 address that an IPv6 one only wraps."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    # is_global alone is not enough: Python 3.11 takes multicast, 6to4 and NAT64 for global
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_private
    return address.is_global and not is_special and not address.is_loopback and not _is_odd(address)


def _is_own(address: Address) -> bool:
    if _is_public(address):
        return True
    is_ours = address.is_private or address in ipaddress.ip_network("100.64.0.0/10")
    never = address.is_link_local or address.is_multicast or address.is_unspecified or address == _METADATA_IPV6
    return is_ours and not never and (address.is_loopback or not (address.is_reserved or _is_odd(address)))


_METADATA_IPV6 = ipaddress.ip_address("fd00:ec2::254")


def _is_odd(address: Address) -> bool:
    return any(address in network for network in _ODD)
