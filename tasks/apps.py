from urllib.parse import urlencode

from django.apps import AppConfig
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from routescope.contracts import keeping, rejudging, tabs, work_done
        from routescope.data.scopes import Scope
        from routescope.exports import sources
        from tasks.exports import TaskSource
        from tasks.maintenance.judging import rejudge
        from tasks.maintenance.kept import kept
        from tasks.models import AsyncTask
        from tasks.tab.asked import VIEW_ALL, task_scope
        from tasks.tab.made import described

        def find(scope: Scope, identifier: str) -> str:
            try:
                here = task_scope(scope.viewer, scope.of)
            except Http404:
                return ""
            if not AsyncTask.objects.visible_to(here).identified_by(identifier).exists():
                return ""
            return f"{reverse('tasks')}?{urlencode({'task_id': identifier})}{here.further}"

        work_done.register(described)
        sources.provide(TaskSource())
        rejudging.register("tasks", rejudge)
        keeping.register("tasks", 20, kept)
        tabs.register(tabs.RecordsTab("tasks", _("Task Logs"), find, VIEW_ALL))
