"""Usage records: the tab, one record, the permalink, and the way in."""

from django.urls import path

from logs.ingest import http, otlp_http
from logs.limits import views as limits_views
from logs.read_api import endpoints
from logs.record import views as record_views
from logs.usage import counts, first_run, sessions, values, views
from routescope.rest.answers import by_method
from routescope.web import paths

__all__ = ["paths", "urlpatterns"]

urlpatterns = [
    path("records/usage/", views.usage, name="usage"),
    path("records/usage/results/", views.usage_results, name="usage-results"),
    path("records/usage/first-steps/", first_run.steps, name="usage-first-steps"),
    path("records/usage/further/", views.further, name="usage-further"),
    path("records/usage/chart/", views.usage_chart, name="usage-chart"),
    path("records/usage/counts/", counts.answer, name="usage-counts"),
    path("records/usage/values/", values.values, name="usage-values"),
    path("records/usage/news/", views.news, name="usage-news"),
    path("records/usage/display/", views.display, name="usage-display"),
    path("records/usage/session/", sessions.session, name="usage-session"),
    path("records/usage/session/details/", sessions.session_details, name="usage-session-details"),
    path("records/usage/limits/", limits_views.limits, name="usage-limits"),
    path("records/usage/<uuid:record_id>/", record_views.record, name="usage-record"),
    path("records/usage/<uuid:record_id>/details/", record_views.record_details, name="usage-record-details"),
    path("records/usage/<uuid:record_id>/content/", record_views.content, name="usage-content"),
    path("records/usage/<uuid:record_id>/reprice/", record_views.reprice, name="usage-reprice"),
    path("tokens/", limits_views.tokens, name="tokens"),
    path("r/<any:request_id>", views.permalink, name="permalink"),
    path("api/v1/usage", by_method(GET=endpoints.usage, POST=http.usage), name="api-usage"),
    path("api/v1/usage/statistics", by_method(GET=endpoints.statistics), name="api-usage-statistics"),
    path("api/v1/usage/breakdown", by_method(GET=endpoints.breakdown), name="api-usage-breakdown"),
    path("api/v1/usage/series", by_method(GET=endpoints.series), name="api-usage-series"),
    path("api/v1/usage/<str:record_id>", by_method(GET=endpoints.record), name="api-usage-record"),
    path("api/v1/ingest/litellm", http.litellm_callback, name="api-litellm"),
    path("v1/traces", otlp_http.traces, name="api-traces"),
    path("v1/logs", otlp_http.logs, name="api-logs"),
    path("v1/metrics", otlp_http.metrics, name="api-metrics"),
]
