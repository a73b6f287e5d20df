"""Learn: the guide for everybody, the operators' guides for admins, and "Was this helpful?"."""

from __future__ import annotations

from typing import Any

from allauth.core import ratelimit
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from accounts.models import GuideAnswer
from accounts.people.signed_in import AuthenticatedRequest
from routescope.contracts import keeping
from routescope.text.redaction import redacted
from routescope.web import guides
from routescope.web.guides import Guide


class AnswerForm(forms.ModelForm[GuideAnswer]):
    """Yes or no, and a sentence. A secret in it is not kept."""

    helpful = forms.TypedChoiceField(
        choices=[("yes", "yes"), ("no", "no")], coerce=lambda word: word == "yes"
    )

    class Meta:
        model = GuideAnswer
        fields = ("helpful", "comment")

    def clean_comment(self) -> str:
        return redacted(str(self.cleaned_data["comment"]))[:500]


@login_required
@require_safe
def learn(request: AuthenticatedRequest) -> HttpResponse:
    """The guide's contents; to admins also the operators' guides."""
    operators = [guide for guide in guides.guides().values() if guide.is_for_operators]
    context = {
        "chapters": guides.chapters(),
        "operators": operators if request.user.is_staff else [],
        **_links(),
    }
    return render(request, "learn/index.html", context)


@login_required
@require_safe
def guide(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Show one guide. 404 for any other address; an operators' guide is for admins."""
    shown = _shown(request, slug)
    before, after = guides.beside(shown)
    siblings = [one for one in guides.guides().values() if one.section == shown.section]
    context = {
        "guide": shown,
        "text": guides.as_html(shown, _blocks(request)),
        "siblings": siblings,
        "before": before,
        "after": after,
        "answer": GuideAnswer.objects.filter(user=request.user, page=slug).first(),
    }
    return render(request, "learn/guide.html", context)


@login_required
@require_POST
def answer(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Keep what the reader says of a page, in place of what they said before."""
    shown = _shown(request, slug)
    if not ratelimit.consume(request, action="guide_answer", user=request.user):
        too_many: HttpResponse = ratelimit.respond_429(request)
        return too_many
    form = AnswerForm(request.POST)
    given = None
    if form.is_valid():
        # What is sent by the buttons alone leaves the sentence as it was.
        said = form.cleaned_data if "comment" in request.POST else {"helpful": form.cleaned_data["helpful"]}
        given, _is_new = GuideAnswer.objects.update_or_create(user=request.user, page=slug, defaults=said)
    if not request.htmx:
        return redirect(f"{shown.url}#helpful")
    context = {"guide": shown, "answer": given, "form": form}
    return render(request, "learn/guide.html#helpful", context, status=200 if given else 422)


def _shown(request: AuthenticatedRequest, slug: str) -> Guide:
    shown = guides.guides().get(slug)
    if shown is None:
        raise Http404
    if shown.is_for_operators and not request.user.is_staff:
        raise PermissionDenied
    return shown


def _links() -> dict[str, str]:
    """The operator's own pages, each empty where it is not configured."""
    return {"terms_url": settings.TERMS_URL, "privacy_url": settings.PRIVACY_URL}


def _blocks(request: AuthenticatedRequest) -> dict[str, str]:
    """What the chapters say of this account and installation, by the name that stands in them."""
    context: dict[str, Any] = {
        "kept": keeping.told(request.user),
        "playground": bool(settings.PLAYGROUND_URL),
        "reference": bool(settings.API_REFERENCE_URL),
        **_links(),
    }
    names = ("kept", "terms", "links")
    return {name: render_to_string(f"learn/blocks/{name}.html", context, request) for name in names}
