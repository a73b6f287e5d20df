"""A record's input and output as a conversation, whichever provider's shape they have.

OpenAI chat (``messages``, ``choices``) and responses (``input``, ``output``, ``instructions``), Anthropic
(``system``, ``content`` blocks), Gemini (``contents``, ``candidates``), OpenTelemetry (``parts``), text. What
is of no known shape is left to the raw JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from routescope.text import markdown

_ROLES = {
    "system": _("System"),
    "developer": _("System"),
    "user": _("User"),
    "human": _("User"),
    "assistant": _("Assistant"),
    "model": _("Assistant"),
    "ai": _("Assistant"),
    "tool": _("Tool"),
    "function": _("Tool"),
}
_LOOKS = {"developer": "system", "human": "user", "model": "assistant", "ai": "assistant", "function": "tool"}
_MOST_TURNS = 500
_MOST_RENDERED = 60_000
"""Characters of a conversation whose Markdown is rendered; half a second's work at the worst."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a turn. ``kind``: text, image, call (a tool call), result, or other.

    ``html`` is the text with its Markdown rendered; nothing where that would be the same.
    """

    kind: str
    text: str = ""
    name: str = ""
    url: str = ""
    html: SafeString | str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    parts: tuple[Part, ...] = field(default=())

    @property
    def label(self) -> str:
        return str(_ROLES.get(self.role.lower(), self.role))

    @property
    def look(self) -> str:
        """The class name's end: system, user, assistant or tool."""
        role = self.role.lower()
        role = _LOOKS.get(role, role)
        return role if role in {"system", "user", "assistant", "tool"} else "tool"


def conversation(sent: Any, answered: Any) -> list[Turn]:
    """Return the turns of a call, the answer last; empty where nothing is of a known shape."""
    turns = [*_turns(sent, "user"), *_turns(answered, "assistant")]
    return [turn for turn in turns if turn.parts][:_MOST_TURNS]


def rendered(turns: list[Turn]) -> list[Turn]:
    """Return the turns with the Markdown of their texts as HTML: of very long ones, of the first."""
    left = _MOST_RENDERED
    shown = []
    for turn in turns:
        parts = []
        for part in turn.parts:
            if part.kind == "text" and len(part.text) <= left and not markdown.is_plain(part.text):
                left -= len(part.text)
                parts.append(replace(part, html=markdown.as_html(part.text)))
            else:
                parts.append(part)
        shown.append(replace(turn, parts=tuple(parts)))
    return shown


def _turns(value: Any, role: str) -> Iterator[Turn]:
    if isinstance(value, str):
        yield Turn(role, (Part("text", value),))
    elif isinstance(value, list):
        if value and all(isinstance(item, dict) and _is_block(item) for item in value):
            yield Turn(role, tuple(_parts(value)))
        else:
            for item in value:
                yield from _turns(item, role)
    elif isinstance(value, dict):
        yield from _turns_of(value, role)


def _turns_of(value: dict[str, Any], role: str) -> Iterator[Turn]:
    for name in ("system", "instructions", "system_instruction", "systemInstruction"):
        if value.get(name):
            yield Turn("system", tuple(_parts(value[name])))
    known = next((name for name in ("messages", "contents", "input", "prompt") if value.get(name)), None)
    if known is not None:
        yield from _turns(value[known], role)
    elif isinstance(value.get("choices"), list):
        for choice in value["choices"]:
            if isinstance(choice, dict):
                yield from _turns(
                    choice.get("message") or choice.get("delta") or choice.get("text") or "", role
                )
    elif isinstance(value.get("candidates"), list):
        for candidate in value["candidates"]:
            if isinstance(candidate, dict):
                yield from _turns(candidate.get("content") or "", role)
    elif isinstance(value.get("output"), list | str):
        yield from _turns(value["output"], role)
    elif _is_message(value):
        yield _message(value, role)
    elif _is_block(value):
        yield Turn(role, tuple(_parts([value])))
    elif isinstance(value.get("truncated"), str):
        yield Turn(role, (Part("text", value["truncated"]),))


def _is_message(value: dict[str, Any]) -> bool:
    return ("role" in value or "content" in value or "parts" in value) and (
        "content" in value or "parts" in value or "tool_calls" in value
    )


def _message(value: dict[str, Any], role: str) -> Turn:
    said = value.get("role")
    role = said if isinstance(said, str) and said else role
    parts = list(_parts(value.get("parts") or value.get("content")))
    parts += [_call(call) for call in value.get("tool_calls") or () if isinstance(call, dict)]
    if isinstance(value.get("function_call"), dict):
        parts.append(_call({"function": value["function_call"]}))
    if isinstance(value.get("refusal"), str) and value["refusal"]:
        parts.append(Part("text", value["refusal"]))
    if role in {"tool", "function"} and isinstance(value.get("name"), str):
        parts = [Part("result", part.text, value["name"]) if part.kind == "text" else part for part in parts]
    return Turn(role, tuple(parts))


def _is_block(value: dict[str, Any]) -> bool:
    return "role" not in value and ("type" in value or "text" in value) and "messages" not in value


def _parts(value: Any) -> Iterator[Part]:
    if isinstance(value, str):
        if value:
            yield Part("text", value)
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, dict):
        yield from _part(value)


def _part(block: dict[str, Any]) -> Iterator[Part]:
    kind = str(block.get("type") or "")
    if "parts" in block and not kind:
        yield from _parts(block["parts"])
    elif kind in {"tool_use", "function_call", "tool_call"} or "functionCall" in block:
        yield _call(block.get("functionCall") or block)
    elif kind in {"tool_result", "function_call_output", "tool_call_response"} or "functionResponse" in block:
        told = block.get("functionResponse") or block
        result = told.get("content", told.get("output", told.get("response", told.get("result"))))
        yield Part("result", _text(result), str(told.get("name") or ""))
    elif url := _image_url(block):
        yield Part("image", url=url) if url.startswith("https://") else Part("hidden-image")
    elif kind == "message" and "content" in block:
        yield from _parts(block["content"])
    elif isinstance(text := block.get("text", block.get("content", block.get("thinking"))), str):
        yield Part("text", text)
    elif kind == "reasoning" and block.get("summary"):
        yield from _parts(block["summary"])
    else:
        yield Part("other", _text(block), kind)


def _image_url(block: dict[str, Any]) -> str:
    """Return an image's address, ``data:`` for one that came inline; nothing for what is no image."""
    image = block.get("image_url")
    if isinstance(image, dict):
        image = image.get("url")
    if isinstance(image, str):
        return image
    source = block.get("source")
    if block.get("type") == "image" and isinstance(source, dict):
        return str(source.get("url") or "data:")
    inline = block.get("inlineData") or block.get("inline_data") or block.get("fileData")
    if isinstance(inline, dict):
        return str(inline.get("fileUri") or "data:")
    return ""


def _call(call: dict[str, Any]) -> Part:
    function = call.get("function")
    told = function if isinstance(function, dict) else call
    given = told.get("arguments", told.get("input", told.get("args")))
    return Part("call", _text(given), str(told.get("name") or ""))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
