"""Where a provider's key may be sent: to the hosts that it was entered for, in the way it was entered for.

Definitions are changed by people who do not know the key, and gateways and providers name URLs. None of them
leads a key elsewhere: it is bound as it is entered (``enter_key``), and every request asks
(``require_bound``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from routescope.wire.outbound import host_of
from tasks.models import ProviderCredential
from tasks.providers.definition import Auth, Definition

_WILD = "*."
_MOST_SAID = 4


class KeyWithheldError(Exception):
    """The key was not entered for this request; ``str()`` says where it may go and what to do."""


def enter_key(credential: ProviderCredential, key: str, definition: Definition | None) -> None:
    """Put a key into a credential, bound to where its base URL and the definition of now send it.

    Nothing is saved. Without a definition the key is bound to the base URL alone, and to no way of sending.
    """
    credential.api_key = key
    credential.key_origins = origins_of(definition, credential.base_url)
    credential.key_sent_as = sent_as(definition.auth) if definition else ""


def require_bound(credential: ProviderCredential, definition: Definition, url: str) -> None:
    """Raise KeyWithheldError where the key was entered for another host than that of ``url``, or to be sent
    in another way. ``url`` is the one that is asked, complete.
    """
    origin = origin_of(url)
    if not any(_covers(bound, origin) for bound in credential.key_origins):
        raise KeyWithheldError(
            f"The key of {credential} was entered for {_named(credential.key_origins)}, and not for"
            f" {origin[:100]}. If it may go there, enter it again under Provider credentials."
        )
    if sent_as(definition.auth) != credential.key_sent_as:
        raise KeyWithheldError(
            f"The key of {credential} was entered to be sent as {credential.key_sent_as or 'nothing'!r}, and"
            f" not as {sent_as(definition.auth)!r}. If it may, enter it again under Provider credentials."
        )


def unbound(credential: ProviderCredential, definition: Definition | None) -> list[str]:
    """Return where the definition of now would send the stored key although it is not bound to it.

    The way of sending stands among them where that is another one.
    """
    if definition is None or definition.poll is None or definition.auth.scheme == "none":
        return []
    wanted = origins_of(definition, credential.base_url)
    missing = [
        origin for origin in wanted if not any(_covers(bound, origin) for bound in credential.key_origins)
    ]
    return missing if sent_as(definition.auth) == credential.key_sent_as else [*missing, _way(definition)]


def origins_of(definition: Definition | None, base_url: str) -> list[str]:
    """Return the origins that a key goes to: of the base URL, and of what the definition itself names."""
    found = [base_url or (definition.poll.base if definition and definition.poll else "")]
    if definition is not None and definition.poll is not None:
        found += _fixed(definition)
        found += [f"https://{pattern}" for pattern in definition.poll.hosts if pattern != "*"]
    return list(dict.fromkeys(origin for url in found if (origin := origin_of(url))))


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the port unless it is the scheme's own; nothing without host."""
    host = host_of(url)
    if not host:
        return ""
    parts = urlsplit(url)
    # What programs read differently (a user's name, a backslash) is no origin that a key goes to.
    return "" if set("@\\") & set(parts.netloc) else f"{parts.scheme}://{host}"


def sent_as(auth: Auth) -> str:
    """Return in a few words how a request carries the key."""
    return f"{auth.scheme} {auth.name.lower()}"[:200]


def _fixed(definition: Definition) -> Iterator[str]:
    """Yield the URLs of a definition whose host no parameter fills in."""
    assert definition.poll is not None  # noqa: S101  # origins_of() has seen to it
    templates = [definition.poll.url, definition.poll.follow.url if definition.poll.follow else ""]
    for template in templates:
        if template.startswith("https://") and "{" not in origin_of(template):
            yield template


def _covers(bound: str, origin: str) -> bool:
    """Say whether an origin is the bound one, or below it where that is ``https://*.host``."""
    if bound == origin:
        return bool(origin)
    scheme, _, host = bound.partition("://")
    return host.startswith(_WILD) and origin.startswith(f"{scheme}://") and origin.endswith(host[1:])


def _named(origins: Sequence[str]) -> str:
    if not origins:
        return "no host that is known"
    more = f" and {len(origins) - _MOST_SAID} more" if len(origins) > _MOST_SAID else ""
    return ", ".join(origins[:_MOST_SAID]) + more


def _way(definition: Definition) -> str:
    return f"({sent_as(definition.auth)})"
