"""Pages about oneself. Signing in, passwords, MFA and sessions are django-allauth's, under /accounts/."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("profile/theme/", views.theme, name="theme"),
    path("invite/<str:uidb36>/<str:token>/", views.accept_invite, name="accept_invite"),
]
