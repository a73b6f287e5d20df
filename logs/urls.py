from django.urls import path

from logs import api

urlpatterns = [
    path("api/v1/usage", api.usage, name="api-usage"),
]
