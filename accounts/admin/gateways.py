"""Gateways, their ingest keys, and what they call our users, tokens and groups."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.debug import sensitive_variables

from accounts.admin.audited import AuditedAdmin
from accounts.gateways.deliveries import KEEP_REFUSALS, summary
from accounts.gateways.first_steps import curl, curl_asking, ingest_url
from accounts.models import (
    AuditEntry,
    Gateway,
    GroupIdentity,
    Identity,
    IngestKey,
    TokenIdentity,
    User,
    UserIdentity,
)
from accounts.staff.rights import reaches
from routescope.admin import KeptAdmin, ShortInline, badge, links, listed
from routescope.admin.chosen import Chosen
from routescope.admin.sections import Section
from routescope.text import formatting

_MOST_DAYS = 30


class IngestKeyInline(ShortInline[IngestKey, Gateway]):
    model = IngestKey
    parent = "gateway"
    fields = ("hint", "label", "created", "last_used", "state")

    @admin.display(description=_lazy("Created"))
    def created(self, key: IngestKey) -> str:
        return formatting.when(key.created_at)

    @admin.display(description=_lazy("Last used"))
    def last_used(self, key: IngestKey) -> str:
        return formatting.when(key.last_used_at) if key.last_used_at else _("Never")

    @admin.display(description=_lazy("State"))
    def state(self, key: IngestKey) -> SafeString:
        if key.revoked_at:
            return badge("quiet", _("Revoked %(when)s") % {"when": formatting.when(key.revoked_at)})
        url = reverse("admin:accounts_gateway_revoke_key", args=[key.gateway_id, key.pk])
        return format_html('{} <a href="{}">{}</a>', badge("success", _("Active")), url, _("Revoke"))


class IssueKeyForm(forms.Form):
    label = forms.CharField(
        label=_lazy("Label"),
        max_length=100,
        required=False,
        help_text=_lazy("Helps to tell keys apart: the host or deployment that will use it."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )


@admin.register(Gateway)
class GatewayAdmin(AuditedAdmin[Gateway], KeptAdmin[Gateway]):
    section, place = Section.GATEWAYS, 1
    about = _lazy("The systems that send records in, each with its ingest keys.")
    fills = _lazy("You add each gateway once, and give it a key.")
    audited_as = AuditEntry.Act.GATEWAYS
    change_form_template = "admin/accounts/gateway/change_form.html"
    list_display = ("name", "state", "active_keys", "last_used", "related")
    search_fields = ("name",)
    sortable_by = ()
    fields = ("name", "is_active", "error_texts", "groups_are_teams", "created_at")
    readonly_fields = ("created_at",)
    inlines = (IngestKeyInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gateway]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                active_keys=Count("ingest_keys", filter=Q(ingest_keys__revoked_at=None)),
                last_used=Max("ingest_keys__last_used_at"),
            )
        )

    @admin.display(description=_lazy("State"))
    def state(self, gateway: Gateway) -> SafeString:
        return badge("success", _("Active")) if gateway.is_active else badge("quiet", _("Inactive"))

    @admin.display(description=_lazy("See"))
    def related(self, gateway: Gateway) -> SafeString:
        return links(
            (_("What it sends"), reverse("admin:accounts_gateway_sent", args=[gateway.pk])),
            (_("Names of people"), listed("accounts_useridentity", gateway__id__exact=gateway.pk)),
            (_("Tasks"), listed("tasks_asynctask", gateway=gateway.pk)),
            *(
                [(_("Teams"), listed("accounts_team", told_by__id__exact=gateway.pk))]
                if gateway.groups_are_teams
                else ()
            ),
        )

    @admin.display(description=_lazy("Active keys"))
    def active_keys(self, gateway: Any) -> int:
        return int(gateway.active_keys)

    @admin.display(description=_lazy("Last record sent"))
    def last_used(self, gateway: Any) -> str:
        return formatting.when(gateway.last_used) if gateway.last_used else _("Never")

    def get_inlines(self, request: HttpRequest, obj: Gateway | None) -> Any:
        return self.inlines if obj else ()

    def response_add(
        self, request: HttpRequest, obj: Gateway, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go on to its first key: a gateway without one can send nothing."""
        if {"_continue", "_addanother", "_popup"} & set(request.POST):
            return super().response_add(request, obj, post_url_continue)
        return HttpResponseRedirect(reverse("admin:accounts_gateway_issue_key", args=[obj.pk]))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/sent/", view(self.sent), name="accounts_gateway_sent"),
            path("<path:object_id>/keys/issue/", view(self.issue_key), name="accounts_gateway_issue_key"),
            path(
                "<path:object_id>/keys/<int:key_id>/revoke/",
                view(self.revoke_key),
                name="accounts_gateway_revoke_key",
            ),
            *super().get_urls(),
        ]

    def sent(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the gateway sent lately, what was refused and why, and how to send a test record."""
        gateway = self._gateway(request, object_id)
        context = {
            **self._context(request, gateway),
            "title": _("What %(gateway)s sends") % {"gateway": gateway},
            "summary": summary(gateway),
            "refusals": gateway.refusals.order_by("-id")[:KEEP_REFUSALS],
            "days": gateway.deliveries.order_by("-day", "endpoint")[:_MOST_DAYS],
            "command": curl_asking(_own_address(request), timezone.now()),
        }
        return TemplateResponse(request, "admin/accounts/gateway/sent.html", context)

    @sensitive_variables("key", "context")
    def issue_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make a key and show it in this very answer: never in a URL, a message, a cookie or the log."""
        gateway = self._gateway(request, object_id)
        form = IssueKeyForm(request.POST if request.method == "POST" else None)
        context = {
            **self._context(request, gateway),
            "title": _("Issue an ingest key for %(gateway)s") % {"gateway": gateway},
            "form": form,
        }
        if request.method == "POST" and form.is_valid():
            with transaction.atomic():
                row, key = IngestKey.issue(gateway, form.cleaned_data["label"])
                self.log_change(request, gateway, f"Issued the ingest key {row.hint}.")
            context |= {
                "key": key,
                "row": row,
                "ingest_url": ingest_url(),
                "command": curl(key, _own_address(request)),
            }
            context["title"] = _("Ingest key of %(gateway)s") % {"gateway": gateway}
        return TemplateResponse(request, "admin/accounts/gateway/issue_key.html", context)

    def revoke_key(self, request: HttpRequest, object_id: str, key_id: int) -> HttpResponse:
        """Ask, then refuse the key from now on."""
        gateway = self._gateway(request, object_id)
        key = IngestKey.objects.filter(gateway=gateway, pk=key_id, revoked_at=None).first()
        if key is None:
            raise Http404
        if request.method == "POST":
            with transaction.atomic():
                key.revoked_at = timezone.now()
                key.save(update_fields=["revoked_at"])
                self.log_change(request, gateway, f"Revoked the ingest key {key.hint}.")
            messages.success(request, _("The key %(key)s is now refused.") % {"key": key.hint})
            return HttpResponseRedirect(reverse("admin:accounts_gateway_change", args=[gateway.pk]))
        context = {
            **self._context(request, gateway),
            "title": _("Revoke the ingest key %(key)s") % {"key": key.hint},
            "key": key,
        }
        return TemplateResponse(request, "admin/accounts/gateway/revoke_key.html", context)

    def _gateway(self, request: HttpRequest, object_id: str) -> Gateway:
        self.require_change(request)
        gateway = self.get_object(request, unquote(object_id))
        if gateway is None:
            raise Http404
        return gateway

    def _context(self, request: HttpRequest, gateway: Gateway) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, "original": gateway}


def _own_address(request: HttpRequest) -> str:
    """Return the address of who asks: a test record is theirs, so that they see it arrive."""
    return str(getattr(request.user, "email", "") or "")


class IdentityAdmin(AuditedAdmin[Any], KeptAdmin[Any]):
    """A gateway's names. Pointed elsewhere, records that arrive from then on follow; those stored stay."""

    audited_as = AuditEntry.Act.NAMES

    list_filter: ClassVar[Any] = (("gateway", admin.RelatedFieldListFilter),)
    sortable_by = ()
    ordering = ("-id",)
    fixed: tuple[str, ...] = ("gateway", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Identity | None = None) -> Any:
        return self.fixed if obj else ()


_FOLLOWS = _lazy("New records go where this points. Records already stored stay where they are.")


class UserIdentityForm(forms.ModelForm[UserIdentity]):
    actor: ClassVar[Any]
    """Who fills it in; set for each request."""

    class Meta:
        model = UserIdentity
        fields = ("gateway", "name", "user")

    def clean_user(self) -> User:
        """Nobody but a superuser makes another's records to come their own."""
        user: User = self.cleaned_data["user"]
        moved = "user" in self.changed_data
        if moved and not self.actor.is_superuser and user.canonical_id == self.actor.canonical_id:
            raise forms.ValidationError(_("Only a superuser can point a gateway's name at themselves."))
        return user


@admin.register(UserIdentity)
class UserIdentityAdmin(IdentityAdmin):
    list_filter = (*IdentityAdmin.list_filter, ("user", Chosen))
    section, place = Section.GATEWAYS, 2
    about = _lazy("What each gateway calls a person. Point a name elsewhere, and new records follow.")
    fills = _lazy("A gateway's first record under a name makes it.")
    form = UserIdentityForm
    list_display = ("name_at_gateway", "gateway", "user")
    list_select_related = ("gateway", "user")
    search_fields = ("name", "user__email", "user__name")
    autocomplete_fields = ("gateway", "user")
    fieldsets = ((None, {"fields": ("gateway", "name", "user"), "description": _FOLLOWS}),)

    def has_change_permission(self, request: HttpRequest, obj: UserIdentity | None = None) -> bool:
        """Whose records would go elsewhere must be within the rights of the one who moves them."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or reaches(request.user, obj.user))

    def get_form(
        self, request: HttpRequest, obj: UserIdentity | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"actor": request.user})

    def audit_subject(self, obj: UserIdentity) -> User | None:
        return obj.user

    @admin.display(description=_lazy("Name at the gateway"))
    def name_at_gateway(self, identity: UserIdentity) -> str:
        return identity.name or _("(records that name no user)")


@admin.register(GroupIdentity)
class GroupIdentityAdmin(IdentityAdmin):
    section, place = Section.GATEWAYS, 4
    about = _lazy("What each gateway calls a pricing group.")
    fills = _lazy("A gateway's first record with a group's name makes it.")
    list_display = ("name", "gateway", "group")
    list_select_related = ("gateway", "group")
    search_fields = ("name", "group__name")
    autocomplete_fields = ("gateway", "group")
    fieldsets = ((None, {"fields": ("gateway", "name", "group"), "description": _FOLLOWS}),)


class TokenIdentityForm(forms.ModelForm[TokenIdentity]):
    class Meta:
        model = TokenIdentity
        fields = ("gateway", "user", "name", "token")

    def clean(self) -> dict[str, Any]:
        """A token stays with its owner: a user's records must not carry another's token."""
        cleaned = super().clean() or {}
        token = cleaned.get("token")
        user = cleaned.get("user") or getattr(self.instance, "user", None)
        if token and user and token.owner.canonical_id != user.canonical_id:
            self.add_error(
                "token",
                _("This token belongs to %(owner)s. Choose one of %(user)s's.")
                % {"owner": token.owner, "user": user},
            )
        return cleaned


@admin.register(TokenIdentity)
class TokenIdentityAdmin(IdentityAdmin):
    list_filter = (*IdentityAdmin.list_filter, ("user", Chosen))
    section, place = Section.GATEWAYS, 3
    about = _lazy("What each gateway calls a person's token.")
    fills = _lazy("A gateway's first record with a token's name makes it.")
    form = TokenIdentityForm
    fixed = ("gateway", "user", "name")
    list_display = ("name", "gateway", "user", "token")
    list_select_related = ("gateway", "user", "token")
    search_fields = ("name", "user__email", "user__name", "token__name")
    autocomplete_fields = ("gateway", "user", "token")
    fieldsets = ((None, {"fields": ("gateway", "user", "name", "token"), "description": _FOLLOWS}),)
