"""Whether a text reads as an error of an API: asked where content and an error are the same words.

An error says what it is at its beginning: a known cause by the rules, a form that only errors have, or
something of an API that is said to be wrong. What people ask for, and what models answer, rarely does.
"""

from __future__ import annotations

import re
from functools import lru_cache

from logs.causes.judging import verdict
from logs.models import Cause
from logs.models.events import Failure

_BEGINNING = 200
# A class of exceptions, an HTTP status, an error in JSON, as a representation of Python's too.
_FORM = re.compile(
    r"\b[A-Z]\w{0,80}?(?:Error|Exception)\b|(?<!\w)[45]\d\d status code|[<\[][45]\d\d\b"
    r"|[\"']error[\"']\s{0,3}:|[\"'](?:error_?)?code[\"']\s{0,3}:|\brequest id: "
)
_OF_AN_API = re.compile(
    r"\b(?:models?|tokens?|max_tokens|quotas?|balance|accounts?|api|parameters?|requests?|servers?|service"
    r"|upstream|channels?|messages?|tool_\w{1,20}|input|limits?|text risk|prompt|organization|inference"
    r"|credits?|usage)\b"
    r"|模型|令牌|额度|余额|账户|账号|参数|请求|服务|上游|渠道|分组|内容|系统"
    r"|任务|接口|密钥|套餐|文本|视频生成",
    re.IGNORECASE,
)
_WRONG = re.compile(
    r"\b(?:exceed(?:s|ed)?|has reached|was reached|hit your|insufficient|invalid|unexpected|overdue"
    r"|not (?:supported|available|found|valid|allowed|pass)|isn[’']t supported|don[’']t have access"
    r"|do not have|are required|is required|malformed|rejected|denied|too (?:busy|many|long|large)"
    r"|could not|unable to|failed|try again|top up|retry|new_sensitive)\b"
    r"|重试|再试|充值|重新提交|失败|错误|异常|超过|超时|不足|不可用|不支持|用尽|欠费|冻结|过期|无效|违规|敏感"
    r"|饱和|繁忙|限制|未通过|已达到",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"(?:Traceback \(most recent call last\):\s{1,8})?"
    r"[\w.]{0,200}(?:Error|Exception|\.[A-Z]\w{1,80})(?:: |\([\"'])"
)
"""What clients put before an error's message: the class of the exception."""


def reads_as_error(text: str) -> bool:
    """Whether a text says at its beginning that something of an API went wrong."""
    return _reads_as_error(text[:_BEGINNING])


@lru_cache(maxsize=1024)
def _reads_as_error(beginning: str) -> bool:
    if _FORM.search(beginning) or (_OF_AN_API.search(beginning) and _WRONG.search(beginning)):
        return True
    return verdict(Failure(message=beginning), None).cause is not Cause.UNKNOWN


def repeats_error(text: str, message: str) -> bool:
    """Whether a text of content tells of this very error: that of an agent, which has met it before."""
    return message in text and reads_as_error(message)


def is_error_for_answer(text: str, message: str) -> bool:
    """Whether a text of the output is the error itself, as of clients that give one for an answer.

    It is the whole error, or its beginning, or what stands behind the class of the exception. What a model
    had said may stand there too, and be most of the error; it does not read as one.
    """
    if message in text:
        return reads_as_error(message) or _is_behind_preamble(text, text.find(message))
    at = message.find(text)
    return at >= 0 and (at == 0 or _is_behind_preamble(message, at)) and reads_as_error(text)


def _is_behind_preamble(text: str, at: int) -> bool:
    return _PREAMBLE.fullmatch(text, 0, at) is not None
