"""Pages about oneself. Signing in, passwords, MFA and sessions are in `accounts.sign_in.urls`."""

from django.urls import path
from django.views.generic import RedirectView

from accounts.access import views as access_views
from accounts.exports import views as export_views
from accounts.learn import views as learn_views
from accounts.people import saved_views, views
from accounts.scopes import seeing
from accounts.scopes import views as scope_views

urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("records/views/", saved_views.save, name="view-save"),
    path("records/views/<int:view_id>/rename/", saved_views.rename, name="view-rename"),
    path("records/views/<int:view_id>/delete/", saved_views.delete, name="view-delete"),
    path("profile/theme/", views.theme, name="theme"),
    path("profile/time-zone/", views.time_zone, name="time-zone"),
    path("profile/access-tokens/", access_views.access_tokens, name="access-tokens"),
    path("profile/access-tokens/<int:pk>/revoke/", access_views.revoke, name="access-token-revoke"),
    path("profile/read-api/", access_views.read_api, name="read-api"),
    path("exports/", export_views.exports, name="exports"),
    path("exports/results/", export_views.results, name="exports-results"),
    path("exports/new/", export_views.new, name="export-new"),
    path("exports/file/<str:signature>/", export_views.file, name="export-file"),
    path("exports/<uuid:pk>/download/", export_views.download, name="export-download"),
    path("exports/<uuid:pk>/manifest.json", export_views.manifest, name="export-manifest"),
    path("exports/<uuid:pk>/cancel/", export_views.cancel, name="export-cancel"),
    path("exports/<uuid:pk>/delete/", export_views.delete, name="export-delete"),
    path("records/options/", scope_views.options, name="scope-options"),
    path("records/people/", scope_views.people, name="scope-people"),
    path("records/as/<int:number>/", seeing.see_as, name="see-as"),
    path("learn/", learn_views.learn, name="learn"),
    path("learn/<path:slug>/helpful/", learn_views.answer, name="guide-answer"),
    path("learn/<path:slug>/", learn_views.guide, name="guide"),
    # In front of allauth's page of the same path: the address one signs in with is the admin's to change.
    path("accounts/email/", RedirectView.as_view(pattern_name="profile")),
    path("invite/<str:uidb36>/<str:token>/", views.accept_invite, name="accept_invite"),
]
