"""Async tasks: the way in for gateways."""

from django.urls import path

from tasks import api

urlpatterns = [
    path("api/v1/tasks", api.tasks, name="api-tasks"),
    path("api/v1/tasks/<path:task_id>", api.task, name="api-task"),
]
