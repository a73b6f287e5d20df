"""Which hosts may be asked: all public ones, and those of ``OUTBOUND_ALLOWED``."""

from __future__ import annotations

import ipaddress
from functools import cache

from django.conf import settings

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Hosts = frozenset[tuple[str, int]]  # Names in lower case, and ports.
NO_HOSTS: Hosts = frozenset()


def is_public(address: IPAddress) -> bool:
    """Whether an address is one of the Internet at large, also where it wraps another one (RFC 6890)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_allowed_host(host: str, port: int, trusted: Hosts = NO_HOSTS) -> bool:
    name = host.lower()
    return (name, port) in trusted or any(name == one and to in (None, port) for one, to in _rules()[1])


def is_listed(address: IPAddress, port: int) -> bool:
    return any(address in network and wanted in (None, port) for network, wanted in _rules()[0])


_Networks = list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int | None]]


def _rules() -> tuple[_Networks, list[tuple[str, int | None]]]:
    return _parsed(tuple(settings.OUTBOUND_ALLOWED))


@cache
def _parsed(words: tuple[str, ...]) -> tuple[_Networks, list[tuple[str, int | None]]]:
    networks: _Networks = []
    hosts: list[tuple[str, int | None]] = []
    for word in words:
        text, port = word, None
        head, colon, tail = word.rpartition(":")
        if colon and tail.isdigit() and (":" not in head or head.endswith("]")):
            text, port = head, int(tail)
        text = text.strip("[]").lower()
        try:
            networks.append((ipaddress.ip_network(text, strict=False), port))
        except ValueError:
            hosts.append((text, port))
    return networks, hosts
