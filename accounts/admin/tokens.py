"""API tokens, pricing groups and models."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.admin.merging import MergeViews
from accounts.admin.pickers import token_label
from accounts.identities.token_facts import masked
from accounts.models import AIModel, ApiToken, AuditEntry, Group, User
from routescope.admin import KeptAdmin, badge, links, listed
from routescope.admin.chosen import Chosen
from routescope.admin.sections import Section

_KINDS = {
    ApiToken.Status.ACTIVE: "success",
    ApiToken.Status.DISABLED: "quiet",
    ApiToken.Status.EXPIRED: "limit",
    ApiToken.Status.EXHAUSTED: "error",
}


class ModelsField(forms.CharField):
    """The models that a token may call, one a line: nothing for what nobody said, ``*`` for any."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(map(str, value)) or "*"
        return value

    def clean(self, value: Any) -> list[str] | None:
        lines = [line.strip() for line in str(super().clean(value) or "").splitlines()]
        names = list(dict.fromkeys(line for line in lines if line))
        if not names:
            return None
        return [] if "*" in names else names

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(initial != self.clean(data))


class ApiTokenForm(forms.ModelForm[ApiToken]):
    """What is set here stays, whatever the gateway tells; what is emptied is the gateway's to tell again."""

    allowed_models = ModelsField(
        label=_lazy("Models"),
        required=False,
        help_text=_lazy("One per line. * for any; empty if not known."),
    )

    class Meta:
        model = ApiToken
        fields = ("owner", "name", *ApiToken.TOLD)
        help_texts = {
            "masked_key": _lazy("Its first and last characters. A whole key is masked before it is stored.")
        }

    def clean_masked_key(self) -> str:
        """Mask what was pasted whole: the gateway keeps the key, nobody reads it here."""
        return masked(str(self.cleaned_data["masked_key"]))

    def save(self, commit: bool = True) -> ApiToken:
        """Save, and keep in mind which of the facts the admin has set."""
        token = self.instance
        kept = [name for name in token.set_by_admin if name not in self.changed_data]
        set_now = [name for name in self.changed_data if name in ApiToken.TOLD]
        token.set_by_admin = kept + [name for name in set_now if getattr(token, name) not in (None, "")]
        return super().save(commit)


@admin.register(ApiToken)
class ApiTokenAdmin(MergeViews, KeptAdmin[ApiToken]):
    section, place = Section.PEOPLE, 2
    about = _lazy("People's keys at the gateways, masked, with the limits and budgets that hold for them.")
    fills = _lazy(
        "A gateway's first record with a token makes it; what it may do comes with later records, or "
        "from you."
    )
    audited_as = AuditEntry.Act.NAMES
    form = ApiTokenForm
    list_display = ("name", "owner", "group", "masked_key", "rpm_limit", "tpm_limit", "state", "related")
    list_filter = ("status", ("owner", Chosen), ("group", Chosen))
    list_select_related = ("owner", "group")
    search_fields = ("name", "masked_key", "owner__email", "owner__name")
    search_help_text = _lazy("Name, masked key, or the owner's e-mail or name.")
    autocomplete_fields = ("owner", "group")
    ordering = ("-id",)
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("owner", "name", "part_of", "masked_key", "group", "status")}),
        (
            _lazy("What it may do at the gateway"),
            {
                "fields": ("rpm_limit", "tpm_limit", "allowed_models", "expires_at"),
                "description": _lazy(
                    "What is set here stays, whatever the gateway tells. Empty a field to let the gateway"
                    " tell it again."
                ),
            },
        ),
        (_lazy("Budget"), {"fields": ("budget", "budget_spent", "budget_resets_at")}),
        (_lazy("Dates"), {"fields": ("created_at", "told_at")}),
    )
    readonly_fields = ("part_of", "created_at", "told_at")

    autocomplete_label = staticmethod(token_label)

    def get_fieldsets(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """A token that is yet to be made has no dates."""
        return self.fieldsets if obj else self.fieldsets[:-1]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """A token keeps its owner: its records are that user's, and sums rely on it."""
        return (*self.readonly_fields, "owner") if obj else self.readonly_fields

    def audit_subject(self, obj: ApiToken) -> User | None:
        return obj.owner

    @admin.display(description=_lazy("See"))
    def related(self, token: ApiToken) -> SafeString:
        return links((_("Records"), listed("logs_usagerecord", token=token.pk)))

    @admin.display(description=_lazy("Status"))
    def state(self, token: ApiToken) -> SafeString:
        return badge(_KINDS[ApiToken.Status(token.status)], token.get_status_display())


@admin.register(Group)
class GroupAdmin(MergeViews, KeptAdmin[Group]):
    section, place = Section.PEOPLE, 3
    about = _lazy("Pricing groups. A call's price from the catalogue is multiplied by its group's ratio.")
    fills = _lazy("A gateway's first record with a group makes it, at ratio 1; you set the ratio.")
    audited_as = AuditEntry.Act.PRICES
    list_display = ("name", "ratio", "description", "part_of", "related")
    list_select_related = ("merged_into",)
    fields = ("name", "part_of", "ratio", "description")
    readonly_fields = ("part_of",)
    search_fields = ("name", "description")
    sortable_by = ()

    @admin.display(description=_lazy("See"))
    def related(self, group: Group) -> SafeString:
        return links(
            (_("Records"), listed("logs_usagerecord", group=group.pk)),
            (_("Ratios"), listed("logs_groupratio", group__id__exact=group.pk)),
        )


@admin.register(AIModel)
class AIModelAdmin(AuditedAdmin[AIModel], KeptAdmin[AIModel]):
    section, place = Section.GATEWAYS, 5
    about = _lazy("Models by the names that gateways call them.")
    fills = _lazy("A gateway's first record with a model makes it.")
    audited_as = AuditEntry.Act.NAMES
    list_display = ("name", "related")
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

    @admin.display(description=_lazy("See"))
    def related(self, model: AIModel) -> SafeString:
        return links(
            (_("Records"), listed("logs_usagerecord", model=model.pk)),
            (_("Prices"), listed("logs_modelprice", model__id__exact=model.pk)),
            (_("Add a price"), f"{reverse('admin:logs_modelprice_add')}?{urlencode({'model': model.pk})}"),
            (
                _("Say what it stands for"),
                f"{reverse('admin:logs_deployment_add')}?{urlencode({'name': model.name})}",
            ),
        )
