"""Reading tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models
from django.db.models import Q

from accounts.gateways.error_texts import NOT_KEPT
from routescope.data.owned import OwnedQuerySet
from routescope.text.identifiers import kept

if TYPE_CHECKING:
    pass  # named by the manager's type

if TYPE_CHECKING:
    from tasks.models import AsyncTask  # noqa: F401  # named by the manager's type

_Model = TypeVar("_Model", bound=models.Model)


class AsyncTaskQuerySet(OwnedQuerySet[_Model]):
    def _unquote(self, row: _Model) -> None:
        """A failure's words go, and what was made. Codes and states stay."""
        kept_of = row.__dict__
        if kept_of.get("failure_message", True):
            kept_of["failure_message"] = NOT_KEPT
        kept_of["result"] = None

    def identified_by(self, identifier: str) -> Self:
        """Return the tasks, of all time, with this task ID, provider's task ID or request ID."""
        identifier = kept(identifier)
        return self.filter(
            Q(task_id=identifier)
            | Q(provider_task_id=identifier, provider_task_id__gt="")
            | Q(request_id=identifier, request_id__gt="")
        )


class AsyncTaskManager(models.Manager["AsyncTask"].from_queryset(AsyncTaskQuerySet["AsyncTask"])):  # type: ignore[misc]
    pass
