"""What an answer that is about no state of a task complains of: that the task has expired, or is not known.

Providers say so with HTTP 400, 404, 410 or 422, or with 200 and a code of their own; in a body of any shape,
as a code (``TaskNotFound``, ``task_expired``) or in a sentence, English or Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from routescope.wire.reading import cut
from routescope.wire.strict_json import JSON

_MOST_TEXTS = 30
_LONGEST = 400
_DEEPEST = 4

_TASK = r"(?:task|job|video|generation|operation|batch|prediction|response|result|file|record|request)s?"
_EXPIRED = re.compile(
    r"\b(?:task|job|video|generation|operation|batch|prediction|response|result|file)s?(?:[ _-]?id)?\b.{0,60}?"
    r"\b(?:expired|no longer available)\b"
    r"|\b\w{0,40}(?:task|job|video|generation|batch|prediction|result)_?(?:is_?)?expired\b"
    r"|(?:任务|作业|视频|结果|文件).{0,20}(?:过期|失效)",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(
    rf"\b{_TASK}(?:[ _-]?id)?\b.{{0,80}}?\b(?:not (?:be )?found|not exist|doesn'?t exist|no longer exists|is null)\b"
    rf"|\b(?:no such|invalid|unknown|cannot find|can'?t find|could not find|not find) (?:the )?{_TASK}\b"
    rf"|\b\w{{0,40}}(?:task|job|video|generation|batch|prediction|resource)_?(?:id_?)?not_?(?:found|exists?)\b"
    r"|^not[_ ]found$|(?:任务|作业|视频).{0,20}(?:不存在|未找到|找不到)|找不到.{0,10}(?:任务|作业)",
    re.IGNORECASE,
)
# What expires beside tasks, and says nothing of them.
_OTHERS = re.compile(
    r"token|\bkey\b|api[ _-]?key|signature|certificate|credential|session|subscription|\bplan\b|trial|time ?stamp"
    r"|令牌|密钥|签名|证书|套餐|订阅",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an answer complains of, in its words. ``expired`` is the task's end; that it is not known is none:
    it may be asked about too early, with another key or in another region.
    """

    expired: bool
    text: str


def refusal_in(document: JSON) -> Refusal | None:
    """Return what an answer says of the task it was asked about; None where it says neither."""
    texts = list(_texts(document, 1))[:_MOST_TEXTS]
    for pattern, expired in ((_EXPIRED, True), (_NOT_FOUND, False)):
        for text in texts:
            if pattern.search(text) and not (expired and _OTHERS.search(text)):
                return Refusal(expired, text)
    return None


def _texts(value: JSON, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield cut(value, _LONGEST)
    elif depth <= _DEEPEST and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, depth + 1)
