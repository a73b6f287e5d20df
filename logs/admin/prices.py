"""Prices and ratios in the admin. A version whose time has come stays: a change is a new version."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.models import AIModel, AuditEntry
from logs.admin.catalogue_prices import compared, in_short
from logs.models import GroupRatio, ModelPrice
from logs.models.prices import PIECE_KINDS, TOKEN_KINDS, TOOL_KINDS
from logs.pricing.quotes import trial
from routescope.admin import ReadOnlyAdmin
from routescope.admin.chosen import Chosen
from routescope.admin.sections import Section
from routescope.text import formatting


class ModelPriceForm(forms.ModelForm[ModelPrice]):
    """A version of a model's prices, tried out before it is saved: prices of one model must fit together."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # the stubs leave it out: the instance is made there
        if not self.errors and (problem := trial(self.instance)):
            self.add_error(None, problem)


class InForceFilter(admin.SimpleListFilter):
    """The versions that hold now, those to come, and those that others have followed."""

    title = _lazy("time")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("now", _("In force")), ("coming", _("To come")), ("past", _("Replaced"))]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[ModelPrice]
    ) -> models.QuerySet[ModelPrice]:
        now = timezone.now()
        if self.value() == "coming":
            return queryset.filter(valid_from__gt=now)
        newer = ModelPrice.objects.filter(
            model=OuterRef("model"),
            tier=OuterRef("tier"),
            valid_from__gt=OuterRef("valid_from"),
            valid_from__lte=now,
        )
        if self.value() in ("now", "past"):
            return queryset.filter(
                Exists(newer) if self.value() == "past" else ~Exists(newer), valid_from__lte=now
            )
        return queryset


@admin.register(ModelPrice)
class ModelPriceAdmin(AuditedAdmin[ModelPrice]):
    section, place = Section.PRICES, 1
    about = _lazy("Your own prices of models, over the catalogue's: by the token, the piece or the tool.")
    fills = _lazy("You add a price where the catalogue has none, or another than yours.")
    audited_as = AuditEntry.Act.PRICES
    form = ModelPriceForm
    change_form_template = "admin/logs/modelprice/change_form.html"
    list_display = ("model", "tier", "valid_from", "prices", "by_catalogue", "note")
    list_filter = (InForceFilter, ("model", Chosen))
    list_select_related = ("model",)
    search_fields = ("model__name", "note")
    autocomplete_fields = ("model",)
    readonly_fields = ("created_at", "created_by")
    fieldsets = (
        (None, {"fields": ("model", "tier", "valid_from", "note")}),
        (_lazy("By token, USD per 1M"), {"fields": TOKEN_KINDS}),
        (_lazy("By the piece, USD"), {"fields": tuple(PIECE_KINDS)}),
        (_lazy("Tools, USD"), {"fields": tuple(TOOL_KINDS)}),
        (_lazy("Entered"), {"fields": ("created_at", "created_by")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: ModelPrice | None = None) -> Any:
        """A price that is yet to be entered was entered by nobody."""
        return self.fieldsets if obj else self.fieldsets[:-1]

    @admin.display(description=_lazy("Prices, USD"))
    def prices(self, price: ModelPrice) -> str:
        """Name what has a price, with it: per 1M tokens, or per piece."""
        fields = (*TOKEN_KINDS, *PIECE_KINDS, *TOOL_KINDS)
        said = [(field, getattr(price, field)) for field in fields]
        names = {field.name: field.verbose_name for field in ModelPrice._meta.fields}
        return " · ".join(
            f"{names[field]} {formatting.plain(amount)}" for field, amount in said if amount is not None
        )

    @admin.display(description=_lazy("Catalogue today, USD"))
    def by_catalogue(self, price: ModelPrice) -> str:
        return in_short(price.model.name, price.tier)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add what the catalogue says of the price's model; of a new one, of what ``?model=`` names."""
        price = kwargs.get("obj")
        asked = request.GET.get("model", "")[:9] if request.user.has_perm("accounts.view_aimodel") else ""
        model = (
            price.model if price else AIModel.objects.filter(pk=asked).first() if asked.isdecimal() else None
        )
        if model is not None:
            context["compared"] = compared(model, price.tier if price else "")
        return super().render_change_form(request, context, *args, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: ModelPrice | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or _is_to_come(obj))

    def has_delete_permission(self, request: HttpRequest, obj: ModelPrice | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or _is_to_come(obj))

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[ModelPrice]) -> None:
        """Delete in bulk only what is still to come."""
        super().delete_queryset(request, queryset.filter(valid_from__gt=timezone.now()))

    def save_model(self, request: HttpRequest, obj: ModelPrice, form: Any, change: bool) -> None:
        if not change:
            obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)


@admin.register(GroupRatio)
class GroupRatioAdmin(ReadOnlyAdmin[GroupRatio]):
    """The history of ratios; a ratio itself is changed at its group."""

    section, place = Section.PRICES, 2
    about = _lazy("Which ratio a group had from when on. A receipt stays what it was when a ratio changes.")
    fills = _lazy("The product writes one as a group is made, and whenever its ratio changes.")
    list_display = ("group", "ratio", "valid_from")
    list_filter = (("group", Chosen),)
    list_select_related = ("group",)
    search_fields = ("group__name",)


def _is_to_come(price: ModelPrice) -> bool:
    return price.valid_from > timezone.now()
