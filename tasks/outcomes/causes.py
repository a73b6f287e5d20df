"""Why a task ended without a result, judged from the provider's code and words; and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.gateways import error_texts
from tasks.models import AsyncTask, TaskStatus


class TaskCause(models.TextChoices):
    PARAMETERS = "parameters", _("Parameters")
    PERMISSION = "permission", _("Permission")
    BALANCE = "balance", _("Balance")
    RATE_LIMIT = "rate_limit", _("Rate limit")
    CONTENT_POLICY = "content_policy", _("Content policy")
    TIMEOUT = "timeout", _("Timeout")
    CANCELLED = "cancelled", _("Cancelled")
    MODEL = "model", _("Model response")
    UNKNOWN = "unknown", _("Unknown")


_WORDS = (
    (
        TaskCause.CONTENT_POLICY,
        r"moderat|safety|nsfw|sensitive|content.policy|policy.violation|banned|flagged|datainspection"
        r"|risk control|prohibited|copyright|likeness",
    ),
    (
        TaskCause.BALANCE,
        r"balance|insufficient.(quota|credit|fund)|billing|out of credit|arrearage|payment",
    ),
    (TaskCause.RATE_LIMIT, r"rate.?limit|too many|throttl|concurren|quota"),
    (TaskCause.PERMISSION, r"permission|forbidden|unauthori[sz]ed|access denied|api.?key|not allowed"),
    (TaskCause.TIMEOUT, r"time.?out|timed out|deadline|took too long"),
    (
        TaskCause.MODEL,
        r"out of memory|could not be generated|failed to generate"
        r"|internal|unexpected|bad_output|server error|overload|unavailable|crash",
    ),
    (
        TaskCause.PARAMETERS,
        r"invalid|parameter|unsupported|must be|required|validation|too (long|large|small|short)|format"
        r"|dimension|resolution|aspect|download|schema|missing",
    ),
)
_NEXT: dict[TaskCause, str | Promise] = {
    TaskCause.PARAMETERS: _(
        "Correct the input that the message names, try it in the Playground, and submit again."
    ),
    TaskCause.PERMISSION: _("Ask your admin whether this token may use this model."),
    TaskCause.BALANCE: _("Top up the balance, then submit again."),
    TaskCause.RATE_LIMIT: _("Submit fewer tasks at once, or wait a minute and submit again."),
    TaskCause.CONTENT_POLICY: _(
        "Change the prompt or the input media; the same input will be refused again."
    ),
    TaskCause.TIMEOUT: _("Submit again; if it repeats, ask for less at once (shorter, smaller)."),
    TaskCause.CANCELLED: _("Submit again if the result is still wanted."),
    TaskCause.MODEL: _("Submit the same task again; nothing in it seems wrong."),
    TaskCause.UNKNOWN: _("Compare the input with the API reference, and submit again."),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The cause, what speaks for it in the provider's own words, and the next step."""

    cause: TaskCause
    evidence: str
    next_step: str | Promise


def verdict_on(task: AsyncTask) -> Verdict | None:
    """Judge a task that ended badly, or in part. None for every other one."""
    if not task.is_unsuccessful and not (
        task.status == TaskStatus.PARTIALLY_SUCCEEDED and task.failure_message
    ):
        return None
    if task.cause and error_texts.is_cut(task.failure_message):
        cause, evidence = TaskCause(task.cause), task.failure_code or task.provider_status
    else:
        cause, evidence = judge(task.status, task.failure_code, task.failure_message, task.provider_status)
    return Verdict(cause, evidence, _NEXT[cause])


def judge(status: str, code: str, message: str, word: str) -> tuple[TaskCause, str]:
    """Return why a task ended so, and what speaks for it: its code, its reason or the provider's word."""
    if status == TaskStatus.MODERATED:
        return TaskCause.CONTENT_POLICY, code or word or message[:120]
    if status == TaskStatus.EXPIRED:
        return TaskCause.TIMEOUT, code or word
    if status == TaskStatus.CANCELLED and not message:
        return TaskCause.CANCELLED, word
    for text in (code, message):
        for cause, pattern in _WORDS:
            if found := re.search(pattern, text, re.IGNORECASE):
                return cause, text if text == code else _around(text, found)
    if status == TaskStatus.CANCELLED:
        return TaskCause.CANCELLED, word
    return TaskCause.UNKNOWN, code or word


def _around(text: str, found: re.Match[str]) -> str:
    """Return the words around what was found, short enough for one line."""
    start, end = max(0, found.start() - 40), min(len(text), found.end() + 40)
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
