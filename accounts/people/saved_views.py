"""Saved views: the menu beside a tab's filters, and saving, renaming and deleting.

Plain forms that answer with the page they came from: they work without JavaScript.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django.views.decorators.http import require_POST

from accounts.models import SavedView, User
from accounts.people.signed_in import AuthenticatedRequest
from routescope.contracts import tabs
from routescope.filters.address import Address

MOST = 100
"""Views of one tab that a person may keep."""

_PASSING = ("older", "newer", "live", "csrfmiddlewaretoken")
"""Parameters that belong to one visit and not to a view."""


@dataclass(frozen=True, slots=True)
class SavedViewsMenu:
    """A person's views of a tab. ``current`` is the one shown, if any; ``query`` what would be saved."""

    tab: str
    views: Sequence[SavedView]
    current: SavedView | None
    query: str


def menu(user: User, tab: str, address: Address) -> SavedViewsMenu:
    """Return the menu of saved views for a tab that shows an address."""
    views = list(SavedView.objects.filter(user=user, tab=tab))
    shown = _lasting(address.encoded)
    current = next((view for view in views if view.query == shown), None)
    return SavedViewsMenu(tab, views, current, shown)


class SaveForm(forms.ModelForm[SavedView]):
    """A name that is in use is no error here: saving replaces what it stands for."""

    class Meta:
        model = SavedView
        fields = ("tab", "name", "query")
        error_messages = {
            "name": {"required": _l("A view needs a name.")},
            "query": {"max_length": _l("These filters are too long to be saved.")},
        }

    def clean_query(self) -> str:
        return _lasting(str(self.cleaned_data["query"]))


class RenameForm(forms.ModelForm[SavedView]):
    class Meta:
        model = SavedView
        fields = ("name",)
        error_messages = SaveForm.Meta.error_messages


@require_POST
@login_required
def save(request: AuthenticatedRequest) -> HttpResponse:
    """Save what a tab shows under a name. A name that is in use stands for the new view from now on."""
    form = SaveForm(request.POST)
    tab = request.POST.get("tab", "")
    if tab not in tabs.registered():
        return HttpResponse(_("There is no such tab."), status=422, content_type="text/plain")
    back = SavedView(tab=tab, query=_lasting(request.POST.get("query", "")))
    if not form.is_valid():
        return _refused(request, form, back)
    name, query = form.cleaned_data["name"], form.cleaned_data["query"]
    views = SavedView.objects.filter(user=request.user, tab=tab)
    if views.exclude(name=name).count() >= MOST:
        messages.error(
            request, _("You already have %(most)s saved views. Delete one first.") % {"most": MOST}
        )
        return redirect(back)
    view, is_new = SavedView.objects.update_or_create(
        user=request.user, tab=tab, name=name, defaults={"query": query}
    )
    text = _("View “%(name)s” saved.") if is_new else _("View “%(name)s” replaced.")
    messages.success(request, text % {"name": view.name})
    return redirect(view)


@require_POST
@login_required
def rename(request: AuthenticatedRequest, view_id: int) -> HttpResponse:
    """Give a view another name. 404 alike for another's view and for none."""
    view = get_object_or_404(SavedView, pk=view_id, user=request.user)
    form = RenameForm(request.POST, instance=SavedView(user=view.user, tab=view.tab, query=view.query))
    if not form.is_valid():
        return _refused(request, form, view)
    view.name = form.cleaned_data["name"]
    try:
        with transaction.atomic():
            view.save(update_fields=["name"])
    except IntegrityError:
        messages.error(request, _("Another view is already called “%(name)s”.") % {"name": view.name})
    else:
        messages.success(request, _("View renamed to “%(name)s”.") % {"name": view.name})
    return redirect(view)


@require_POST
@login_required
def delete(request: AuthenticatedRequest, view_id: int) -> HttpResponse:
    """Delete a view; what it showed stays on the screen. 404 alike for another's view and for none."""
    view = get_object_or_404(SavedView, pk=view_id, user=request.user)
    view.delete()
    messages.success(request, _("View “%(name)s” deleted.") % {"name": view.name})
    return redirect(view)


def _refused(
    request: AuthenticatedRequest, form: forms.Form | forms.BaseForm, back: SavedView
) -> HttpResponse:
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, str(error))
    return redirect(back)


def _lasting(query: str) -> str:
    """Return a query string without what belongs to one visit."""
    params = QueryDict(query, mutable=True)
    for name in _PASSING:
        params.pop(name, None)
    return params.urlencode()
