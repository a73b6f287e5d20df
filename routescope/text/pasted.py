"""What people paste into a search box for IDs: IDs, what holds one, and other things."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from routescope.text import named_secrets, secret_shapes
from routescope.text.identifiers import kept

LONGEST = 20_000
"""Characters of what is pasted that are looked at, as much as the boxes take: a traceback with its error at
the end."""
SHORTEST = 6
"""IDs shorter than this are none that a gateway or provider makes."""

_NAMED = r"[ _-]?id[\"']?\s*[:=]?\s*[\"']?([^\s\"',;&)\]}]{3,})"
_LABELLED_ID = {
    "request": re.compile(rf"request{_NAMED}", re.IGNORECASE),
    # A task is also known by the request that submitted it.
    "task": re.compile(rf"(?:task|request){_NAMED}", re.IGNORECASE),
}
_LABELLED = re.compile(
    r"(?<![\w-])(?:[a-z][a-z0-9]{0,15}[-_]){0,4}(?:(?:request|response|call|trace|span|task|generation|correlation)"
    r"[-_ ]?)?id[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?([^\s\"',;&)\]}]{6,})",
    re.IGNORECASE,
)
"""A header, a field of JSON or of a Python dictionary, or a log's pair, that names an ID:
``x-request-id: req_1``."""
_TRACE_PARENT = re.compile(r"(?<![\w-])[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?![\w-])")
_SHAPED = re.compile(
    r"(?<![\w-])(?:(?:req|chatcmpl|cmpl|resp|msg|gen|modr|batch|task|video|embd)[-_][\w-]{6,}"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})(?![\w-])"
)
"""What providers and gateways make for IDs."""
_MOST_TRIED = 12
"""IDs in one text that are looked for: the call's own are named before those of its parts."""
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_ID_PARAMETERS = ("request_id", "requestid", "x-request-id", "task_id", "taskid", "generation_id", "id")
_ELLIPSIS = ("…", "...")
# A masked key keeps its prefix.
_KEPT = re.compile(r"[A-Za-z]{1,6}\d?[-_]|AIza|AKIA|eyJ")
_MASKED_KEY = re.compile(r"(?:[A-Za-z]{1,6}\d?[-_]|AIza|AKIA|eyJ)…(?:.{4})?")
_SHORTEST_SHOWN = 16
"""Characters of a key of which four may be shown; of a shorter one they would tell too much."""


_QUOTES = "\"'`"
Work = Literal["request", "task"]


def found_in(text: str, is_known: Callable[[str], bool], work: Work = "request") -> str:
    """Return the ID in what was pasted: all of it, where something has that for its ID, else what is likely.

    Gateways are free in what an ID is: it may hold spaces and quotes, or look like an address or a key.
    """
    text = text[:LONGEST]
    whole = kept(text)
    found = identifier(text, work)
    address = kept(_in_address(whole)) if _ADDRESS.fullmatch(whole) else ""
    unquoted = kept(whole[1:-1]) if len(whole) > 1 and whole[0] == whole[-1] and whole[0] in _QUOTES else ""
    # In a block of headers, a traceback or a body stand several IDs: it is the one that something has.
    likely = [one for one in _likely(text) if one != found]
    others = [one for one in dict.fromkeys((whole, unquoted, address)) if one not in ("", found)]
    if likely and not _MASKED_KEY.fullmatch(found):
        others.append(found)
    return next((one for one in dict.fromkeys((*others, *likely)) if is_known(one)), found)


def _likely(text: str) -> list[str]:
    """Return what in a text is likely an ID: what is named so first, then what looks like one."""
    named = [one[1] for one in _LABELLED.finditer(text)]
    traces = [part for one in _TRACE_PARENT.finditer(text) for part in one.groups()]
    shaped = [one[0] for one in _SHAPED.finditer(text)]
    found = (kept(one.rstrip(".").strip(_QUOTES)) for one in (*named, *traces, *shaped))
    return [one for one in dict.fromkeys(found) if one and not key_in(one)][:_MOST_TRIED]


def identifier(text: str, work: Work = "request") -> str:
    """Return the ID in what was pasted: an ID alone, a quoted one, an address or a message that holds one.

    ``work`` is what is searched for, whose name an ID may stand beside in a message.
    An API key comes back masked: it is never an ID, and must not be shown, searched for or put into a URL.
    """
    text = text[:LONGEST].replace("\x00", "").strip()
    if key := key_in(text):
        return masked(key)
    if address := _ADDRESS.search(text):
        return kept(_in_address(address[0].rstrip("\"'`,;)>]}.")))
    labelled = _LABELLED_ID[work].search(text)
    # The last of the longest words.
    word = labelled[1] if labelled else max(reversed(text.split()), key=len, default="")
    return kept(word.rstrip(".").strip("\"'`,;()[]{}<>").rstrip("."))


def masked(key: str) -> str:
    """Return a key's prefix and last four characters: ``sk-…9f2a``. Of a short one, no more than its kind."""
    kept = _KEPT.match(key)
    shown = key[-4:] if len(key) >= _SHORTEST_SHOWN else ""
    return f"{kept[0] if kept and shown else 'key-'}…{shown}"


def is_key(text: str) -> bool:
    """Whether what was pasted is an API key, or one that `identifier` has masked."""
    return key_in(text) is not None or _MASKED_KEY.fullmatch(text) is not None


def is_address(text: str) -> bool:
    return _ADDRESS.match(text) is not None


def is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None


def is_shortened(text: str) -> bool:
    """Whether the middle of an ID was left out where it was copied from."""
    return any(dots in text for dots in _ELLIPSIS)


def ends_of(text: str) -> tuple[str, str] | None:
    """Return how an ID begins and ends that was copied shortened or in part; None for too little."""
    first, _, rest = text.replace("...", "…").partition("…")
    last = rest.rpartition("…")[2]
    beginning, end = first.strip(), last.strip()
    return (beginning, end) if len(beginning) + len(end) >= SHORTEST and beginning else None


def key_in(text: str) -> str | None:
    """Return the first API key, token or other secret in what was pasted."""
    text = text[:LONGEST]
    spans = chain(secret_shapes.found_in(text), named_secrets.found_in(text))
    return next((text[start:end] for start, end in spans), None)


def _in_address(address: str) -> str:
    """Return the ID that an address names, in its query or as a part of its path; the address without one."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    asked = {name.lower(): values for name, values in parse_qs(parts.query).items()}
    for name in _ID_PARAMETERS:
        if name in asked:
            return asked[name][0].strip()
    path = unquote(parts.path)
    if path.startswith("/r/"):
        return path.removeprefix("/r/")
    for part in reversed(path.split("/")):
        if len(part) >= SHORTEST and any(character.isdigit() for character in part):
            return part
    return address
