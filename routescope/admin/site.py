"""The Django admin as one place: our sign-in with its second factor, and an index in the order of use."""

from __future__ import annotations

from functools import partial
from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin, messages
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

from routescope.admin import board
from routescope.admin.guards import GuardedAdmin
from routescope.admin.sections import Section
from routescope.web.unavailable import answers_json


class LabelledAutocomplete(AutocompleteJsonView):
    """Autocomplete that says more than a name where names repeat (``autocomplete_label`` of the admin)."""

    def serialize_result(self, obj: models.Model, to_field_name: str) -> dict[str, str]:
        label = getattr(self.model_admin, "autocomplete_label", str)
        return {"id": str(getattr(obj, to_field_name)), "text": label(obj)}


class Site(admin.AdminSite):
    """Django's site, with our pages."""

    site_header = site_title = _("Routescope administration")
    index_title = _("Administration")
    empty_value_display = "—"

    @method_decorator(secure_admin_login)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().login(request, extra_context)

    def get_urls(self) -> list[Any]:
        """Return Django's pages without the one that leads to any object of any model (``view_on_site``)."""
        settle = path("settle/", self.admin_view(self.settle_view), name="settle")
        return [settle, *(one for one in super().get_urls() if getattr(one, "name", None) != "view_on_site")]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Give every page how much is to be settled, where it is known; asked for by whoever shows it."""
        return {**super().each_context(request), "settle_count": partial(board.count, request.user)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The sections, under what is new today and what is to be settled."""
        shown = {
            "facts": board.today(request.user),
            **_to_settle(request),
            "panels": board.panels(request.user),
        }
        return super().index(request, {**shown, **(extra_context or {})})

    def settle_view(self, request: HttpRequest) -> HttpResponse:
        """Everything that is to be settled, each with its act; POST leaves one as it is."""
        if request.method == "POST":
            left = board.leave(request, request.POST.get("kind", ""), request.POST.get("key", ""))
            if left is not None:
                messages.success(request, _("%(what)s is left as it is.") % {"what": left.what})
            return redirect("admin:settle")
        context = {
            **self.each_context(request),
            "title": _("To settle"),
            **_to_settle(request),
        }
        return TemplateResponse(request, "admin/settle.html", context)

    @method_decorator(answers_json)
    def autocomplete_view(self, request: HttpRequest) -> Any:
        return LabelledAutocomplete.as_view(admin_site=self)(request)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return the sections with the models that the viewer may open, then those of no section by app."""
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        if app_label:
            return apps
        placed: dict[Section, list[tuple[int, dict[str, Any]]]] = {section: [] for section in Section}
        for app in apps:
            rest = []
            for entry in app["models"]:
                one = self._registry[entry["model"]]
                if not isinstance(one, GuardedAdmin) or one.section is None:
                    rest.append(entry)
                    continue
                entry["name"], entry["about"] = one.index_name or entry["name"], one.about
                placed[one.section].append((one.place, entry))
            app["models"] = rest
        return [*_headed(placed), *(app for app in apps if app["models"])]


def _to_settle(request: HttpRequest) -> dict[str, Any]:
    found = board.found(request.user)
    return {"found": found, "is_settled": not any(one.matters for one in found)}


def _headed(placed: dict[Section, list[tuple[int, dict[str, Any]]]]) -> list[dict[str, Any]]:
    headed = []
    for section, found in placed.items():
        if not found:
            continue
        entries = [entry for _place, entry in sorted(found, key=lambda pair: pair[0])]
        headed.append(
            {
                "name": section.title,
                "about": section.about,
                "app_label": entries[0]["model"]._meta.app_label,
                "app_url": entries[0]["admin_url"],
                "has_module_perms": True,
                "models": entries,
            }
        )
    return headed
