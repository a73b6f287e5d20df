"""Asking a provider about one task over HTTP: the request from its definition, the answer as a finding."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from routescope.wire import outbound
from routescope.wire.outbound import Answer, OutboundError
from routescope.wire.strict_json import JSON, JSONError
from tasks.models import AsyncTask, ProviderCredential, TaskStatus
from tasks.providers import key_binding
from tasks.providers.definition import Auth, Definition, Poll
from tasks.providers.reading import Finding, find_text, read
from tasks.providers.refusals import refusal_in

MAX_HOST = 260
SHORTEST_SECRET = 8
"""Characters of a key that is looked for in answers: a shorter one stands in them by chance."""
_ACCEPTED = 202
_OF_KEYS_AND_LIMITS = (401, 403, 408, 429)
"""HTTP statuses that say nothing of a task, whatever expired."""
_LONGEST_URL = 2000
_UUID = "{uuid}"
_SLOT = re.compile(r"\{(\+?)(\w+)\}")


class CannotAskError(Exception):
    """The task lacks what a request needs: an ID, a base URL, a parameter; ``str()`` says which."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A provider's answer. ``finding`` None, or without a state: it was no answer about the task (see
    ``status``, and what the finding complains of). ``is_unknown``: it says that it does not know the task.

    ``note`` says what is wrong with it, ``excerpt`` is its beginning.
    """

    status: int
    finding: Finding | None
    retry_after: float | None
    note: str = ""
    excerpt: str = ""
    is_unknown: bool = False


def ask(task: AsyncTask, definition: Definition, credential: ProviderCredential | None) -> Asked:
    """Ask once: by one request, or two, each of ``outbound.TIMEOUT`` seconds at the most.

    Raises CannotAskError, ReadingError, KeyWithheldError where the key was not entered for whom is asked, and
    OutboundError where there is no answer at all.
    """
    poll = definition.poll
    if poll is None:
        raise CannotAskError("The provider's definition has no [poll].")
    answer = _get(poll_url(task, poll, credential), definition, credential)
    if not 200 <= answer.status < 300:
        return _refused(answer)
    if answer.status == _ACCEPTED and not answer.body.strip():
        # "Accepted for processing, but the processing has not been completed" (RFC 9110): xAI says no more.
        return Asked(answer.status, Finding(status=TaskStatus.RUNNING), answer.retry_after)
    try:
        document = answer.json()
    except JSONError as error:
        return Asked(answer.status, None, answer.retry_after, f"no JSON ({error})", _excerpt(answer))
    base = _values(task, poll, credential)["base"]
    finding = _finding(definition, document, task, base)
    if finding.status is None:
        return _refused(answer, finding)
    made = finding.status in (TaskStatus.SUCCEEDED, TaskStatus.PARTIALLY_SUCCEEDED)
    if made and (following := _next_url(document, task, poll, credential)):
        result = _get(following, definition, credential)
        if result.status == 429 or result.status >= 500:
            return Asked(result.status, None, result.retry_after, excerpt=_excerpt(result))
        try:
            first = document if isinstance(document, dict) else {}
            document = {**first, "_result": result.json(), "_result_status": result.status}
        except JSONError as error:
            return Asked(result.status, None, None, f"no JSON ({error})", _excerpt(result))
        finding = _finding(definition, document, task, base)
    return Asked(answer.status, finding, answer.retry_after)


def _refused(answer: Answer, finding: Finding | None = None) -> Asked:
    """Return an answer that tells no state of the task, or that it has expired at the provider's.

    ``finding`` is what the definition reads in it, where the HTTP status is that of an answer.
    """
    try:
        refusal = refusal_in(answer.json()) if answer.status not in _OF_KEYS_AND_LIMITS else None
    except JSONError:
        refusal = None
    if refusal and refusal.expired and answer.status < 500:
        ended = Finding(
            status=TaskStatus.EXPIRED,
            failure_code=(finding.failure_code if finding else "") or refusal.code,
            failure_message=refusal.text,
        )
        return Asked(answer.status, ended, answer.retry_after)
    return Asked(
        answer.status,
        finding,
        answer.retry_after,
        excerpt=_excerpt(answer),
        is_unknown=refusal is not None and answer.status < 500,
    )


def _next_url(document: JSON, task: AsyncTask, poll: Poll, credential: ProviderCredential | None) -> str:
    """Return where the result is asked for, if the first answer tells; nothing where it is all there is."""
    if poll.follow is None:
        return ""
    named = find_text(poll.follow.path, document, _LONGEST_URL)
    if named and _may_ask(named, poll, credential):
        return named
    told = {name: find_text(path, document, _LONGEST_URL) for name, path in poll.follow.values.items()}
    return fill(poll.follow.url, _values(task, poll, credential) | told) if all(told.values()) else ""


def host_asked(task: AsyncTask, definition: Definition | None, credential: ProviderCredential | None) -> str:
    """Return the host that a poll of this task asks, with its port unless that is 443; nothing if none."""
    if definition is None or definition.poll is None:
        return ""
    try:
        return outbound.host_of(poll_url(task, definition.poll, credential))[:MAX_HOST]
    except CannotAskError:
        return ""


def poll_url(task: AsyncTask, poll: Poll, credential: ProviderCredential | None) -> str:
    """Return where to ask: the URL that the provider named, if it is on a host of the provider's, or the
    definition's. Raises CannotAskError.
    """
    if task.poll_url and _may_ask(task.poll_url, poll, credential):
        return task.poll_url
    if not task.provider_task_id and "id}" in poll.url:
        raise CannotAskError("The gateway did not tell the provider's task ID.")
    return fill(poll.url, _values(task, poll, credential))


def fill(template: str, values: dict[str, str]) -> str:
    """Fill ``{name}`` with one path segment and ``{+name}`` with a path (RFC 6570). Raises CannotAskError."""

    def slot(found: re.Match[str]) -> str:
        value = values.get(found[2], "")
        if not value:
            raise CannotAskError(f"There is no {found[2]!r} to put into {template}.")
        if found[2] in ("base", "poll_url"):
            return value.rstrip("/") if found[2] == "base" else value
        if ".." in value.split("/"):
            raise CannotAskError(f"{found[2]} must not hold '..'.")
        return quote(value, safe="/:@" if found[1] else "")

    return _SLOT.sub(slot, template)


def _values(task: AsyncTask, poll: Poll, credential: ProviderCredential | None) -> dict[str, str]:
    given = {str(name): str(value) for name, value in dict(task.poll_parameters).items()}
    return {
        **poll.parameters,
        **given,
        "id": task.provider_task_id,
        # Only from those who may say where the key is sent: the definition and the credential.
        "base": (credential.base_url if credential else "") or poll.base,
        "poll_url": task.poll_url if _may_ask(task.poll_url, poll, credential) else "",
    }


def _may_ask(url: str, poll: Poll, credential: ProviderCredential | None) -> bool:
    """Whether a URL that others name leads to a host of the provider's, by the definition or the
    credential.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        base = urlsplit(credential.base_url) if credential and credential.base_url else None
        if base is not None and (parts.scheme, parts.netloc) == (base.scheme, base.netloc):
            return True
    except ValueError:
        return False
    return bool(host) and any(pattern == "*" or fnmatchcase(host, pattern) for pattern in poll.hosts)


def _finding(definition: Definition, document: JSON, task: AsyncTask, base: str) -> Finding:
    return read(definition.reading, document, task_type=task.type, task_id=task.provider_task_id, base=base)


def _get(url: str, definition: Definition, credential: ProviderCredential | None) -> Answer:
    assert definition.poll is not None  # noqa: S101  # ask() has seen to it
    poll = definition.poll
    headers = {name: value.replace(_UUID, str(uuid4())) for name, value in poll.headers.items()}
    key = credential.api_key.reveal() if credential else ""
    if credential is None or not key or definition.auth.scheme == "none":
        return outbound.request(poll.method, url, headers=headers, limit=poll.most_bytes)
    key_binding.require_bound(credential, definition, url)
    url = _authorise(url, headers, definition.auth, key)
    try:
        answer = outbound.request(poll.method, url, headers=headers, limit=poll.most_bytes)
    except OutboundError as error:
        # A library that refuses a header says which.
        raise type(error)(_without(key, str(error).encode()).decode()) from None
    return replace(answer, body=_without(key, answer.body))


def _without(key: str, said: bytes) -> bytes:
    """Return what was said without the key: a host may repeat what it was sent, for others to read."""
    for part in {key, *key.split(":")}:
        if len(part) >= SHORTEST_SECRET:
            for shown in {part, quote(part, safe=""), base64.b64encode(part.encode()).decode()}:
                said = said.replace(shown.encode(), b"[key]")
    return said


def _authorise(url: str, headers: dict[str, str], auth: Auth, key: str) -> str:
    if auth.scheme == "header":
        headers[auth.name] = auth.prefix + key
    elif auth.scheme == "jwt_hs256":
        headers[auth.name] = auth.prefix + _jwt(key)
    elif auth.scheme == "query":
        return f"{url}{'&' if '?' in url else '?'}{urlencode({auth.name: key})}"
    return url


def _jwt(key: str) -> str:
    """Return a token as Kling wants it: issued by the access key, signed with the secret key, for 30
    minutes.
    """
    access, _, secret = key.partition(":")
    now = int(time.time())
    parts = ({"alg": "HS256", "typ": "JWT"}, {"iss": access, "exp": now + 1800, "nbf": now - 5})
    signed = b".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return (signed + b"." + _base64(hmac.digest(secret.encode(), signed, hashlib.sha256))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _excerpt(answer: Answer) -> str:
    text = answer.body[:400].decode(errors="replace")
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())[:200]
