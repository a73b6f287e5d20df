"""What tasks made, in a few words: how much of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from routescope.data.scopes import Scope
from routescope.text import formatting
from routescope.text.identifiers import kept
from tasks.models import AsyncTask
from tasks.tab import listing
from tasks.tab.asked import task_scope


def words_of(task: AsyncTask) -> str:
    """Return what a task made, by kind: "4 images", "1 video, 1 image". `listing` has read the kinds."""
    kinds: Iterable[object] = getattr(task, "kinds_made", None) or ()
    return ", ".join(_counted(kind, count) for kind, count in Counter(map(str, kinds)).items())


def described(scope: Scope, task_ids: Iterable[str]) -> Mapping[str, str]:
    """Return what a person's tasks made, or are of what type, by ID (`routescope.contracts.work_done`)."""
    try:
        here = task_scope(scope.viewer, scope.of)
    except Http404:  # may see calls, and no tasks
        return {}
    wanted = {kept(one): one for one in task_ids}
    mine = AsyncTask.objects.visible_to(here).filter(task_id__in=wanted)
    rows = mine.annotate(kinds_made=listing.KINDS_MADE).only("task_id", "type")
    return {wanted[task.task_id]: words_of(task) or str(task.get_type_display()) for task in rows}


def _counted(kind: str, count: int) -> str:
    words = {
        "image": ngettext("%(n)s image", "%(n)s images", count),
        "video": ngettext("%(n)s video", "%(n)s videos", count),
        "audio": ngettext("%(n)s audio file", "%(n)s audio files", count),
        "text": ngettext("text", "%(n)s texts", count),
        "json": _("data"),
    }
    return words.get(kind, ngettext("%(n)s file", "%(n)s files", count)) % {"n": formatting.exact(count)}
