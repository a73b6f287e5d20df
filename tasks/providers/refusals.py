"""What an answer that is about no state of a task complains of: that the task has expired, or is not known.

Providers say so with HTTP 400, 404, 410 or 422, or with 200 and a code of their own; in a body of any shape,
as a code (``TaskNotFound``, ``task_expired``) or in a sentence, English or Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from routescope.wire.reading import cut
from routescope.wire.strict_json import JSON

_MOST_TEXTS = 30
_LONGEST = 400
_DEEPEST = 4

_COMPLAINING = re.compile(r"code|message|msg|err|detail|reason|status|state|title|type", re.IGNORECASE)
_NEAR = 80
"""Characters before a phrase in which the task is named that it is about."""
_TASK = r"(?:task|job|video|generation|operation|batch|prediction|response|result|file|record(?:info)?)s?"
_EXPIRED = re.compile(r"\bexpired\b|\bno longer available\b|过期|失效", re.IGNORECASE)
_NOT_FOUND = re.compile(
    r"\bnot (?:be )?found\b|\bnot exist\b|\bdoesn'?t exist\b|\bno longer exists\b|\bis null\b"
    r"|不存在|未找到|找不到",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"\b{_TASK}(?:[ _-]?id)?\b|任务|作业|视频|结果|文件", re.IGNORECASE)
# Codes, and what names the task behind the phrase.
_EXPIRED_CODE = re.compile(rf"{_TASK}_?(?:is_?)?expired\b", re.IGNORECASE)
_NOT_FOUND_CODE = re.compile(
    rf"(?:{_TASK}|resource)_?(?:id_?)?not_?(?:found|exists?)\b"
    rf"|\b(?:no such|invalid|unknown|not find|can'?t find) (?:the )?{_TASK}(?:[ _-]?id)?\b"
    r"|找不到.{0,10}(?:任务|作业)|^not[_ ]found$",
    re.IGNORECASE,
)
# What expires beside tasks, and says nothing of them.
_OTHERS = re.compile(
    r"token|\bkey\b|api[ _-]?key|signature|certificate|credential|session|subscription|\bplan\b|trial"
    r"|time ?stamp|令牌|密钥|签名|证书|套餐|订阅",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an answer complains of, in its words: a sentence, where there is one, and a code. ``expired`` is
    the task's end; that it is not known is none: it may be asked about too early, with another key or in
    another region.
    """

    expired: bool
    text: str
    code: str = ""


def refusal_in(document: JSON) -> Refusal | None:
    """Return what an answer says of the task it was asked about; None where it says neither."""
    texts = list(islice(_texts(document, 1, complains=True), _MOST_TEXTS))
    said = [text for text in texts if _says(text, _EXPIRED_CODE, _EXPIRED) and not _OTHERS.search(text)]
    expired = bool(said)
    said = said or [text for text in texts if _says(text, _NOT_FOUND_CODE, _NOT_FOUND)]
    if not said:
        return None
    sentences = [text for text in said if " " in text or not text.isascii()]
    codes = [text for text in said if text not in sentences]
    return Refusal(expired, *(sentences or codes)[:1], *codes[:1])


def _says(text: str, code: re.Pattern[str], phrase: re.Pattern[str]) -> bool:
    """Whether a text is such a code, or has such a phrase about a task that it names before."""
    return bool(code.search(text)) or any(
        _NAMED.search(text, max(0, found.start() - _NEAR), found.start()) for found in phrase.finditer(text)
    )


def _texts(value: JSON, depth: int, *, complains: bool) -> Iterator[str]:
    """Yield what an answer says under the names of a complaint: a prompt that it repeats is none."""
    if isinstance(value, str):
        if complains:
            yield cut(value, _LONGEST)
    elif depth <= _DEEPEST and isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, depth + 1, complains=bool(_COMPLAINING.search(name)))
    elif depth <= _DEEPEST and isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1, complains=complains)
