"""The content policy for tasks: what is kept of what providers and gateways say about one.

As of records: no field holds a secret; a failure keeps its own words, or what the operator chose for its
gateway; text and data that a task made are content. Content is kept encrypted, apart and for its days
(`routescope.contracts.content_store`, under the task's id), or not at all: then names and numbers stay of
data. Links stay: they are the provider's, and end with what it keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import UUID

import msgspec
from django.template.defaultfilters import filesizeformat
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from accounts.gateways import error_texts
from accounts.models import ErrorTexts
from routescope.contracts import content_store
from routescope.text import prose, secret_shapes
from routescope.text.addresses import decoded, has_secret, without_secrets_in_address
from routescope.text.identifiers import kept
from routescope.text.redaction import mapped, redacted, without_secrets
from tasks.models import AsyncTask, EventKind
from tasks.outcomes import causes
from tasks.outcomes.observations import Observation, Pieces, is_in_the_answer

# What signs an address for whoever has it, and ends soon: without them nothing could be looked at.
_SIGNING = ("x-amz-", "x-goog-", "x-oss-", "x-tos-", "x-bce-", "x-cos-", "q-")
_SIGNS = frozenset(
    """
    sig signature expires policy key-pair-id se sp sv sr st skoid sktid skt ske sks skv spr ossaccesskeyid
    googleaccessid sign auth_key token hash
    """.split()  # noqa: SIM905
)


_DIGEST = 32
"""Hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Made:
    """The words and data that a task made, and under which level they may be kept."""

    level: int
    pieces: list[Any]


def cleaned(task: AsyncTask, seen: Observation) -> tuple[Observation, Made | None]:
    """Return an observation as it may be kept with the task, and what of its result is stored as content."""
    said = (seen.failure_message, seen.failure_code, seen.note, seen.excerpt, seen.word)
    if not seen.result and not any(said):
        return replace(seen, provider_task_id=kept(seen.provider_task_id)), None
    # What the console says itself is for whoever is to mend it, whatever is kept of a provider's errors.
    own = seen.kind == EventKind.DEADLINE
    cut = error_texts.cutter(ErrorTexts.KEEP if own else ErrorTexts(task.gateway.error_texts))

    def told(text: str) -> str:
        return cut(redacted(text))

    message = told(seen.failure_message)
    cause_uncut = ""
    if error_texts.is_cut(message):
        judged, _evidence = causes.judge(
            seen.status or task.status, seen.failure_code, seen.failure_message, seen.word
        )
        cause_uncut = judged.value
    result, made = _result(task, seen.result)
    clean = replace(
        seen,
        word=prose.name_without_prose(without_secrets(seen.word)),
        note=": ".join(filter(None, (redacted(seen.note), told(seen.excerpt)))),
        excerpt="",
        failure_code=told(seen.failure_code)
        if prose.is_prose(seen.failure_code)
        else redacted(seen.failure_code),
        failure_message=message,
        cause_uncut=cause_uncut,
        provider_task_id=kept(seen.provider_task_id),
        result=result,
    )
    return clean, made


def store(task: AsyncTask, made: Made) -> None:
    """Keep what a task made instead of what it had made before, in the caller's transaction."""
    content_store.current().keep(task.pk, task.user_id, made.level, made.pieces)


def address(url: str) -> str:
    """Return a URL without secrets but what signs it: who has it may open it, and nothing else.

    What follows ``#`` goes: no server is sent it, and tokens are handed over in it.
    """
    url = url.partition("#")[0]
    try:
        parts = urlsplit(url)
    except ValueError:
        return without_secrets_in_address(url)
    pairs = [pair for pair in parts.query.split("&") if _may_stay(pair)]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, without_secrets_in_address(parts.path), "&".join(pairs), ""))


def results_of(tasks: Iterable[AsyncTask]) -> dict[UUID, Pieces]:
    """Return the pieces of tasks' results, with their content where it is kept; else why it is not."""
    tasks = [task for task in tasks if task.result]
    with_content = [task for task in tasks if any("stored" in piece for piece in _pieces(task))]
    loaded: dict[UUID, list[Any] | None] = {}
    for user_id in {task.user_id for task in with_content}:
        loaded |= content_store.current().load(
            user_id, [task.pk for task in with_content if task.user_id == user_id]
        )
    return {task.pk: [_filled(piece, task, loaded) for piece in _pieces(task)] for task in tasks}


def _pieces(task: AsyncTask) -> list[dict[str, Any]]:
    return [piece for piece in task.result or () if isinstance(piece, dict)]


def _filled(
    piece: dict[str, Any], task: AsyncTask, loaded: Mapping[UUID, list[Any] | None]
) -> dict[str, Any]:
    if "withheld" in piece:
        return {"kind": piece["kind"], "withheld": _("Not kept: the content policy for this task is off.")}
    if is_in_the_answer(piece):
        size = filesizeformat(piece["inside"])
        said = _("It was part of the provider's answer (%(size)s) and is not stored here.") % {"size": size}
        return {"kind": piece["kind"], "withheld": said}
    if "stored" not in piece:
        return piece
    if content_store.current().is_expired(task.pk):
        return {
            "kind": piece["kind"],
            "withheld": _("Expired: content is kept for a limited number of days."),
        }
    made = loaded.get(task.pk, [])
    if made is None:
        return {"kind": piece["kind"], "withheld": _("Unreadable: its key is no longer configured here.")}
    if not piece["stored"] < len(made):
        return {"kind": piece["kind"], "withheld": _("Removed: the content is no longer stored.")}
    value = made[piece["stored"]]
    return {"kind": piece["kind"], ("text" if isinstance(value, str) else "data"): value}


def _result(task: AsyncTask, pieces: Pieces | None) -> tuple[Pieces | None, Made | None]:
    if not pieces:
        return pieces, None
    level = content_store.current().level_for(task.gateway_id, task.group_id, task.token_id)
    made: list[Any] = []
    kept_pieces: Pieces = []
    for piece in pieces:
        if "url" in piece:
            kept_pieces.append({**piece, "url": address(str(piece["url"]))})
            continue
        if is_in_the_answer(piece):
            kept_pieces.append(piece)
            continue
        value = piece.get("text", piece.get("data"))
        if level is not None:
            kept_pieces.append({"kind": piece["kind"], "stored": len(made), "digest": _digest(task, value)})
            made.append(value)
        elif isinstance(value, str):
            kept_pieces.append({"kind": piece["kind"], "withheld": "off"})
        else:
            names = mapped(prose.without_content(value), redacted)
            kept_pieces.append({"kind": piece["kind"], "data": names})
    return kept_pieces, Made(level, made) if made and level is not None else None


def _digest(task: AsyncTask, value: Any) -> str:
    """Return what tells whether a result is the one that is kept already, and nothing of it.

    It stays when the content is gone: who has the database alone must not find the result by trying. Under a
    new SECRET_KEY a result that comes again counts as another, and is kept instead of itself.
    """
    said = task.pk.bytes + msgspec.json.encode(value)
    return salted_hmac("tasks.outcomes.privacy.result", said, algorithm="sha256").hexdigest()[:_DIGEST]


def _may_stay(pair: str) -> bool:
    """Whether a parameter is no secret, or signs the address: it then opens this alone, and not for long."""
    name, _mark, value = pair.partition("=")
    name = unquote(name).lower()
    if not name.startswith(_SIGNING) and name not in _SIGNS:
        return not has_secret(pair)
    # Who signed is named by an ID that looks like a key; a web token may sign.
    is_id = name.endswith(("credential", "accesskeyid", "accessid")) or value.startswith("eyJ")
    return is_id or not any(secret_shapes.found_in(said) for said in decoded(value))
