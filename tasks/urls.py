"""Async tasks: the tab, and the way in for gateways."""

from django.urls import path
from django.views.generic import RedirectView

from tasks import api

urlpatterns = [
    path("records/tasks/", RedirectView.as_view(pattern_name="usage"), name="tasks"),
    path("records/tasks/results/", RedirectView.as_view(pattern_name="usage"), name="tasks-results"),
    path("api/v1/tasks", api.tasks, name="api-tasks"),
    path("api/v1/tasks/<path:task_id>", api.task, name="api-task"),
]
