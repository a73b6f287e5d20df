"""Where everything is."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from routescope import guides

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="usage"), name="home"),
    path("records/", RedirectView.as_view(pattern_name="usage"), name="records"),
    path("learn/", guides.learn, name="learn"),
    path("learn/<path:slug>/", guides.guide, name="guide"),
    path("", include("accounts.urls")),
    path("", include("logs.urls")),
    path("", include("tasks.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
