"""API tokens, pricing groups and models."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.admin.merging import MergeViews
from accounts.admin.pickers import token_label
from accounts.models import AIModel, ApiToken, AuditEntry, Group, User
from routescope.admin import KeptAdmin, badge
from routescope.admin.sections import Section

_KINDS = {
    ApiToken.Status.ACTIVE: "success",
    ApiToken.Status.DISABLED: "quiet",
    ApiToken.Status.EXPIRED: "limit",
    ApiToken.Status.EXHAUSTED: "error",
}
_MASK = "…"
_SHOWN = 4


class ApiTokenForm(forms.ModelForm[ApiToken]):
    class Meta:
        model = ApiToken
        fields = ("owner", "name", "masked_key", "group", "status", "rpm_limit", "tpm_limit")
        help_texts = {
            "masked_key": _lazy("Its first and last characters. A whole key is masked before it is stored.")
        }

    def clean_masked_key(self) -> str:
        """Mask what was pasted whole: the gateway keeps the key, nobody reads it here."""
        key = str(self.cleaned_data["masked_key"]).strip()
        if len(key) <= 3 * _SHOWN or any(sign in key for sign in (_MASK, "*", "...")):
            return key
        return f"{key[: 2 * _SHOWN]}{_MASK}{key[-_SHOWN:]}"


@admin.register(ApiToken)
class ApiTokenAdmin(MergeViews, KeptAdmin[ApiToken]):
    section, place = Section.PEOPLE, 2
    audited_as = AuditEntry.Act.NAMES
    form = ApiTokenForm
    list_display = ("name", "owner", "group", "masked_key", "rpm_limit", "tpm_limit", "state")
    list_filter = ("status",)
    list_select_related = ("owner", "group")
    search_fields = ("name", "masked_key", "owner__email", "owner__name")
    search_help_text = _lazy("Name, masked key, or the owner's e-mail or name.")
    autocomplete_fields = ("owner", "group")
    ordering = ("-id",)
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("owner", "name", "part_of", "masked_key", "group", "status")}),
        (_lazy("Limits at the gateway"), {"fields": ("rpm_limit", "tpm_limit")}),
        (_lazy("Dates"), {"fields": ("created_at",)}),
    )
    readonly_fields = ("part_of", "created_at")

    autocomplete_label = staticmethod(token_label)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """A token keeps its owner: its records are that user's, and sums rely on it."""
        return (*self.readonly_fields, "owner") if obj else self.readonly_fields

    def audit_subject(self, obj: ApiToken) -> User | None:
        return obj.owner

    @admin.display(description=_lazy("Status"))
    def state(self, token: ApiToken) -> SafeString:
        return badge(_KINDS[ApiToken.Status(token.status)], token.get_status_display())


@admin.register(Group)
class GroupAdmin(MergeViews, KeptAdmin[Group]):
    section, place = Section.PEOPLE, 3
    audited_as = AuditEntry.Act.PRICES
    list_display = ("name", "ratio", "description", "part_of")
    list_select_related = ("merged_into",)
    fields = ("name", "part_of", "ratio", "description")
    readonly_fields = ("part_of",)
    search_fields = ("name",)
    sortable_by = ()


@admin.register(AIModel)
class AIModelAdmin(AuditedAdmin[AIModel], KeptAdmin[AIModel]):
    section, place = Section.GATEWAYS, 5
    audited_as = AuditEntry.Act.NAMES
    list_display = ("name",)
    search_fields = ("name",)
    sortable_by = ()
    fieldsets = (
        (
            None,
            {
                "fields": ("name",),
                "description": _lazy(
                    "A new name also shows on past records. If a gateway keeps sending the old name, that "
                    "becomes another model."
                ),
            },
        ),
    )
