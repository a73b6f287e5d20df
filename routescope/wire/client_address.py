"""Whose request it is where proxies stand in front: their client's address, not theirs.

A proxy appends to ``X-Forwarded-For`` the address that it was asked from. Only as many entries from the right
are to be believed as there are proxies of ours (``TRUSTED_PROXIES``): what is left of them is what the client
made up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Handler = Callable[[HttpRequest], HttpResponse]

_NETWORK_BITS = {4: 24, 6: 56}
"""What one subscriber or office may own, and somebody elsewhere does not."""


def client_address(get_response: Handler) -> Handler:
    """Put the client's address where everybody looks for it: sign-in's throttles, the audit log, sessions."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.TRUSTED_PROXIES:
            chain = request.headers.get("X-Forwarded-For", "")
            if named := client_of(chain, settings.TRUSTED_PROXIES):
                request.META["REMOTE_ADDR"] = named
        return get_response(request)

    return middleware


def client_of(chain: str, trusted: int) -> str | None:
    """Return the client that ``trusted`` proxies name in a chain of addresses (``client, proxy, proxy``).

    A chain that is shorter was begun by one of the proxies themselves. None where it names no address.
    """
    entries = [entry.strip() for entry in chain.split(",") if entry.strip()]
    if not entries:
        return None
    return _address(entries[-min(max(trusted, 1), len(entries))])


def network_of(address: str | None) -> str:
    """Return the network that an address belongs to, or nothing for what is no address."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    return str(ipaddress.ip_network((found, _NETWORK_BITS[found.version]), strict=False))


def _address(entry: str) -> str | None:
    """Return the address of ``1.2.3.4``, ``1.2.3.4:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``."""
    host = entry.strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None
