"""Where everything is."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from routescope.rest.answers import by_method
from routescope.rest.document import openapi
from routescope.rest.problems import not_found
from routescope.web import notices

# Also what no view caught: 503 while the database is away.
handler500 = "routescope.web.unavailable.failed"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="usage"), name="home"),
    path("records/", RedirectView.as_view(pattern_name="usage", query_string=True), name="records"),
    path("notice/", notices.notice, name="notice"),
    path("", include("accounts.urls")),
    path("", include("logs.urls")),
    path("", include("tasks.urls")),
    path("api/v1/openapi.json", by_method(GET=openapi), name="openapi"),
    # Not <path:>, which stops at a line end.
    re_path(r"^api/(?P<rest>[\s\S]*)\Z", not_found),
    path("accounts/", include("accounts.sign_in.urls")),
    path("admin/", admin.site.urls),
]
