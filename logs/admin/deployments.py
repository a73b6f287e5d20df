"""What names stand for: deployments and aliases behind which models are."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts.admin.audited import AuditedAdmin
from accounts.models import AIModel, AuditEntry
from logs.models import Deployment
from logs.models.deployments import MOST_MODELS, key_of
from logs.pricing.same_model import is_catalogued
from routescope.admin.sections import Section


class NamesField(forms.CharField):
    """Names of models, one a line."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        return _names_in(super().clean(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(initial != _names_in(data))


class DeploymentForm(forms.ModelForm[Deployment]):
    """A name and the models behind it, each of which the catalogue or a record knows."""

    stands_for = NamesField(
        label=_lazy("Stands for"),
        help_text=_lazy(
            "Models, one per line. Whichever of them answers is the model that was asked for; any other is"
            " said to be another."
        ),
    )

    class Meta:
        model = Deployment
        fields = ("name", "stands_for", "note")

    def clean_stands_for(self) -> list[str]:
        names: list[str] = self.cleaned_data["stands_for"]
        if len(names) > MOST_MODELS:
            raise forms.ValidationError(
                ngettext("Name one model at most.", "Name %(most)s models at most.", MOST_MODELS)
                % {"most": MOST_MODELS}
            )
        if any(len(name) > 200 for name in names):
            raise forms.ValidationError(_("A model's name has 200 characters at most."))
        known = set(AIModel.objects.filter(name__in=names).values_list("name", flat=True))
        if strange := [name for name in names if name not in known and not is_catalogued(name)]:
            raise forms.ValidationError(
                _("Neither the catalogue nor any record knows %(names)s.") % {"names": ", ".join(strange)}
            )
        return names

    def clean(self) -> dict[str, Any]:
        """Refuse a chain: what stands behind a name is a model, not another such name."""
        cleaned = super().clean() or self.cleaned_data
        own = key_of(str(cleaned.get("name", "")))
        behind = {key_of(name) for name in cleaned.get("stands_for", ())} - {own}
        others = Deployment.objects.exclude(pk=self.instance.pk)
        if chained := sorted(others.filter(name__in=behind).values_list("name", flat=True)):
            self.add_error(
                "stands_for",
                _("%(name)s is a deployment itself: name the models behind it.")
                % {"name": ", ".join(chained)},
            )
        if own and (
            leading := [one.name for one in others if own in map(key_of, one.stands_for) and one.name != own]
        ):
            self.add_error(
                "name",
                _("%(name)s stands for it already: name its models there.")
                % {"name": ", ".join(sorted(leading))},
            )
        return cleaned


@admin.register(Deployment)
class DeploymentAdmin(AuditedAdmin[Deployment]):
    section, place = Section.GATEWAYS, 6
    about = _lazy("Names of deployments and aliases, and the models behind them.")
    fills = _lazy(
        "You add one where records say that another model answered, and the gateway was told to do so."
    )
    audited_as = AuditEntry.Act.NAMES
    form = DeploymentForm
    list_display = ("name", "models", "note")
    search_fields = ("name", "note")
    sortable_by = ()
    fields = ("name", "stands_for", "note")

    @admin.display(description=_lazy("Stands for"))
    def models(self, deployment: Deployment) -> str:
        return ", ".join(map(str, deployment.stands_for))


def _names_in(text: Any) -> list[str]:
    return list(dict.fromkeys(filter(None, (line.strip() for line in str(text or "").splitlines()))))
