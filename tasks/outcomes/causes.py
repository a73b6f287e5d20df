"""Why a task ended without a result, judged by the rules of `routescope.causes`; and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.gateways import error_texts
from routescope.causes import engine
from routescope.causes.rules import Why
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


_OF: dict[Why, TaskCause] = {
    Why.PARAMETERS: TaskCause.PARAMETERS,
    Why.CONTEXT_LENGTH: TaskCause.PARAMETERS,
    Why.PERMISSION: TaskCause.PERMISSION,
    Why.BALANCE: TaskCause.BALANCE,
    Why.RATE_LIMIT: TaskCause.RATE_LIMIT,
    Why.CONTENT_POLICY: TaskCause.CONTENT_POLICY,
    Why.TIMEOUT: TaskCause.TIMEOUT,
    Why.CLIENT_CLOSED: TaskCause.CANCELLED,
    Why.MODEL_RESPONSE: TaskCause.MODEL,
    Why.GATEWAY: TaskCause.MODEL,
}
_NEXT: dict[TaskCause, str | Promise] = {
    TaskCause.PARAMETERS: _("Correct the input that the message names, then submit the task again."),
    TaskCause.PERMISSION: _("Ask your administrator whether this token may use this model."),
    TaskCause.BALANCE: _("Top up the balance, then submit again."),
    TaskCause.RATE_LIMIT: _("Submit fewer tasks at once, or wait a minute and submit again."),
    TaskCause.CONTENT_POLICY: _(
        "Change the prompt or the input media; the same input will be refused again."
    ),
    TaskCause.TIMEOUT: _("Submit again. If it happens again, ask for less at once: shorter or smaller."),
    TaskCause.CANCELLED: _("Submit again if you still need the result."),
    TaskCause.MODEL: _("Submit the task again; nothing seems to be wrong with it."),
    TaskCause.UNKNOWN: _("Check the input against what the provider accepts, then submit the task again."),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The cause, what speaks for it in the provider's own words, and the next step."""

    cause: TaskCause
    evidence: str
    next_step: str | Promise


def verdict_on(task: AsyncTask) -> Verdict | None:
    """Return why a task ended badly, or in part, as it was judged. None for every other one.

    One that is yet to be judged (`tasks.maintenance.judging`) is judged here, to the same end.
    """
    found = _judged(task)
    if found is None:
        return None
    cause, evidence = found
    if task.cause and task.cause != cause:
        # By the rules of its time, which people filter and count by.
        cause, evidence = TaskCause(task.cause), task.failure_code or task.provider_status
    return Verdict(cause, evidence, _NEXT[cause])


def cause_of(task: AsyncTask) -> TaskCause | None:
    """Return the cause that `verdict_on` names, which costs nothing where the task is judged."""
    if task.cause:
        return TaskCause(task.cause)
    found = _judged(task)
    return found[0] if found else None


def judged(task: AsyncTask) -> str:
    """Return what a task's ``cause`` is by today's rules; nothing where it has none."""
    found = _judged(task)
    return found[0].value if found else ""


def _judged(task: AsyncTask) -> tuple[TaskCause, str] | None:
    """Judge a task for which `tasks.models.HAS_CAUSE` holds."""
    if not task.is_unsuccessful and not (
        task.status == TaskStatus.PARTIALLY_SUCCEEDED and task.failure_message
    ):
        return None
    if task.cause_uncut and error_texts.is_cut(task.failure_message):
        return TaskCause(task.cause_uncut), task.failure_code or task.provider_status
    return judge(task.status, task.failure_code, task.failure_message, task.provider_status)


def judge(status: str, code: str, message: str, word: str) -> tuple[TaskCause, str]:
    """Return why a task ended so, and what speaks for it: its code, its reason or the provider's word."""
    if status == TaskStatus.MODERATED:
        return TaskCause.CONTENT_POLICY, code or word or message[:120]
    if status == TaskStatus.EXPIRED:
        return TaskCause.TIMEOUT, code or word
    if status == TaskStatus.CANCELLED and not message:
        return TaskCause.CANCELLED, word
    rule, clue = engine.judge(code, None, message, None)
    if clue is not None and rule.why in _OF:
        return _OF[rule.why], clue.value
    if status == TaskStatus.CANCELLED:
        return TaskCause.CANCELLED, word
    return TaskCause.UNKNOWN, code or word
