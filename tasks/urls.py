"""Async tasks: the tab, one task, and the way in for gateways."""

from django.urls import path

from routescope.rest.answers import by_method
from routescope.web import paths
from tasks.intake import http, webhooks
from tasks.read_api import endpoints
from tasks.tab import menu_counts, views

__all__ = ["paths", "urlpatterns"]

urlpatterns = [
    path("records/tasks/", views.tasks, name="tasks"),
    path("records/tasks/results/", views.tasks_results, name="tasks-results"),
    path("records/tasks/counts/", menu_counts.answer, name="tasks-counts"),
    path("records/tasks/live/", views.live, name="tasks-live"),
    path("records/tasks/display/", views.display, name="tasks-display"),
    path("records/tasks/<uuid:task_id>/", views.task, name="task"),
    path("records/tasks/<uuid:task_id>/row/", views.task_details, name="task-details"),
    path("records/tasks/<uuid:task_id>/details/", views.task_detail, name="task-detail"),
    path("records/tasks/<uuid:task_id>/content/", views.task_content, name="task-content"),
    path("records/tasks/<uuid:task_id>/media/", views.task_media, name="task-media"),
    path("t/<any:task_id>", views.permalink, name="task-permalink"),
    path("hooks/<slug:platform>/", webhooks.receive, name="task-webhook"),
    path(
        "api/v1/tasks",
        by_method(GET=endpoints.tasks, POST=http.tasks, PATCH=http.tasks),
        name="api-tasks",
    ),
    path("api/v1/tasks/<path:task_id>", by_method(GET=endpoints.task, PATCH=http.task), name="api-task"),
]
