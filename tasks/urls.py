from django.urls import path
from django.views.generic import RedirectView

urlpatterns = [
    path("records/tasks/", RedirectView.as_view(pattern_name="usage"), name="tasks"),
    path("records/tasks/results/", RedirectView.as_view(pattern_name="usage"), name="tasks-results"),
]
