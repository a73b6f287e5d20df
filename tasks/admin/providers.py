"""Providers in the Django admin: add one, change one of ours, try it on a sample answer, keep its key."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.audited import AuditedAdmin
from accounts.models import AuditEntry
from routescope.admin import badge, yes_or_no
from routescope.admin.code import CodeInput
from routescope.admin.sections import Section
from routescope.wire import strict_json
from routescope.wire.strict_json import JSONError
from tasks.models import Provider, ProviderCredential, TaskType
from tasks.providers import key_binding
from tasks.providers.catalogue import built_in, built_in_source, catalogue
from tasks.providers.definition import MAX_DEFINITION, DefinitionError, parse
from tasks.providers.reading import Finding, read
from tasks.providers.search import ReadingError

_MOST_SAMPLE = 200_000
_NO_BASE = "https://base-url-of-the-credential"
"""Stands for the base URL where a definition has none, in the links that are made of a sample."""


class ProviderForm(forms.ModelForm[Provider]):
    class Meta:
        model = Provider
        fields = ("slug", "is_active", "definition")
        widgets = {"definition": CodeInput(rows=36)}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        try:
            definition = parse(cleaned.get("definition") or "")
        except DefinitionError as error:
            self.add_error("definition", str(error))
            return cleaned
        if definition.slug != cleaned.get("slug"):
            self.add_error(
                "slug", _("The definition says %(slug)s: both must be the same.") % {"slug": definition.slug}
            )
        return cleaned


class TryForm(forms.Form):
    """A definition and a provider's answer, to see what is read from it."""

    definition = forms.CharField(
        label=gettext_lazy("Definition"),
        max_length=MAX_DEFINITION,
        widget=CodeInput(rows=28),
    )
    sample = forms.CharField(
        label=gettext_lazy("Sample answer (JSON)"),
        max_length=_MOST_SAMPLE,
        widget=CodeInput(rows=12),
    )

    def clean_definition(self) -> str:
        text = str(self.cleaned_data["definition"])
        try:
            parse(text)
        except DefinitionError as error:
            raise forms.ValidationError(str(error)) from error
        return text

    def clean_sample(self) -> str:
        text = str(self.cleaned_data["sample"])
        try:
            strict_json.decode(text, nan_is_null=True)
        except JSONError as error:
            raise forms.ValidationError(_("This is not JSON: %(error)s") % {"error": error}) from error
        return text


@admin.register(Provider)
class ProviderAdmin(AuditedAdmin[Provider]):
    section, place = Section.PROVIDERS, 1
    about = gettext_lazy(
        "Definitions of task providers that are your own or changed by you: where to ask, and how to "
        "read the answer."
    )
    fills = gettext_lazy(
        "You add one, or change a built-in one below; built-in ones work without an entry here."
    )
    audited_as = AuditEntry.Act.PROVIDERS
    form = ProviderForm
    list_display = ("slug", "state", "changed_at")
    search_fields = ("slug", "definition")
    change_list_template = "admin/tasks/provider/change_list.html"
    change_form_template = "admin/tasks/provider/change_form.html"

    @admin.display(description=gettext_lazy("State"))
    def state(self, provider: Provider) -> SafeString:
        return badge("success", _("In use")) if provider.is_active else badge("quiet", _("Not in use"))

    def get_urls(self) -> list[URLPattern]:
        own = path("try/", self.admin_site.admin_view(self.try_view), name="tasks_provider_try")
        return [own, *super().get_urls()]

    def save_model(
        self, request: HttpRequest, obj: Provider, form: forms.ModelForm[Provider], change: bool
    ) -> None:
        """Save, and say whose keys the definition does not get as it is now."""
        super().save_model(request, obj, form, change)
        definition = catalogue().by_slug.get(obj.slug)
        # What key it is nobody needs to read here, nor whether it can be.
        kept = ProviderCredential.objects.filter(platform=obj.slug).exclude(api_key="").defer("api_key")
        for credential in kept.select_related("gateway"):
            if missing := key_binding.unbound(credential, definition):
                messages.warning(request, _not_sent(credential, missing))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with one of ours: ``?of=luma``."""
        slug = request.GET.get("of", "")
        source = built_in_source(slug)
        return {"slug": slug, "definition": source} if source else {}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        changed = set(Provider.objects.values_list("slug", flat=True))
        ours = [definition for slug, definition in built_in().items() if slug not in changed]
        return super().changelist_view(request, {"built_in": ours, **(extra_context or {})})

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """Read a sample answer by a definition and show what it says. Nothing is stored or asked."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        slug = request.GET.get("of", "")
        own = Provider.objects.filter(slug=slug).values_list("definition", flat=True).first()
        form = TryForm(
            request.POST if request.method == "POST" else None,
            initial={"definition": own or built_in_source(slug)},
        )
        finding: Finding | None = None
        if form.is_valid():
            definition = parse(form.cleaned_data["definition"])
            try:
                finding = read(
                    definition.reading,
                    strict_json.decode(form.cleaned_data["sample"], nan_is_null=True),
                    task_type=definition.types[0] if definition.types else TaskType.OTHER,
                    task_id="task-id",
                    base=(definition.poll.base if definition.poll else "") or _NO_BASE,
                )
            except ReadingError as error:
                form.add_error("definition", str(error))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Try a provider on a sample answer"),
            "form": form,
            "media": self.media + form.media,
            "rows": _rows(finding) if finding else None,
            "opts": self.model._meta,
        }
        return render(request, "admin/tasks/provider/try.html", context)


def _rows(finding: Finding) -> list[tuple[str, str]]:
    status = finding.status.label if finding.status else _("cannot be told from this answer")
    result = json.dumps(finding.result, indent=1, ensure_ascii=False) if finding.result else ""
    values = (
        (_("Status"), status),
        (_("Provider's word"), finding.word),
        (_("Progress"), "" if finding.progress is None else f"{finding.progress}%"),
        (_("Started"), finding.started_at),
        (_("Finished"), finding.finished_at),
        (_("Result"), result),
        (_("Result expires"), finding.expires_at or finding.lifetime),
        (_("Failure code"), finding.failure_code),
        (_("Failure reason"), finding.failure_message),
        (_("Provider's task ID"), finding.task_id),
    )
    return [(str(label), str(value) if value else "—") for label, value in values]


class CredentialForm(forms.ModelForm[ProviderCredential]):
    """Secrets go in and are not shown again: an empty box keeps what is there.

    The boxes are no fields of the model: what an admin page fills in and prints by itself are only those.
    """

    new_api_key = forms.CharField(
        label=gettext_lazy("API key"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Leave empty to keep the stored one. Kling: access key, colon, secret key."),
    )
    new_webhook_secret = forms.CharField(
        label=gettext_lazy("Webhook secret"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Leave empty to keep the stored one. It begins with whsec_."),
    )

    class Meta:
        model = ProviderCredential
        fields = ("platform", "gateway", "base_url")

    def clean_platform(self) -> str:
        """Return the provider's own name, as tasks have it, for whatever gateways may call it."""
        name = str(self.cleaned_data["platform"])
        definition = catalogue().get(name)
        return definition.slug if definition else name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kept = self.instance.pk and self.instance.api_key and not cleaned.get("new_api_key")
        if kept and "base_url" in self.changed_data:
            self.add_error(
                "new_api_key",
                _("The stored key was entered for the previous address. Enter it again to send it here."),
            )
        elif kept and "platform" in self.changed_data:
            stored = self.instance
            moved = ProviderCredential(
                platform=cleaned.get("platform", ""),
                base_url=stored.base_url,
                key_origins=stored.key_origins,
                key_sent_as=stored.key_sent_as,
            )
            if missing := key_binding.unbound(moved, catalogue().by_slug.get(moved.platform)):
                self.add_error("new_api_key", _not_sent(moved, missing))
        return cleaned

    def save(self, commit: bool = True) -> ProviderCredential:
        if typed := self.cleaned_data.get("new_api_key"):
            definition = catalogue().by_slug.get(self.instance.platform)
            key_binding.enter_key(self.instance, typed, definition)
        if typed := self.cleaned_data.get("new_webhook_secret"):
            self.instance.webhook_secret = typed
        return super().save(commit)


@admin.register(ProviderCredential)
class ProviderCredentialAdmin(AuditedAdmin[ProviderCredential]):
    section, place = Section.PROVIDERS, 2
    about = gettext_lazy(
        "The keys with which providers are asked about tasks, encrypted and never shown again."
    )
    fills = gettext_lazy("You add one for each provider whose tasks are to be followed.")
    audited_as = AuditEntry.Act.PROVIDERS
    form = CredentialForm
    list_display = ("platform", "gateway", "base_url", "has_key", "bound", "has_webhook_secret", "changed_at")
    list_select_related = ("gateway",)
    readonly_fields = ("goes_to",)

    def save_model(
        self,
        request: HttpRequest,
        obj: ProviderCredential,
        form: forms.ModelForm[ProviderCredential],
        change: bool,
    ) -> None:
        """Save, and say where a key that was entered goes: whoever changed the definition did not ask."""
        super().save_model(request, obj, form, change)
        if form.cleaned_data.get("new_api_key"):
            sentence = _("The key of %(credential)s is sent to %(hosts)s, and nowhere else.")
            hosts = ", ".join(obj.key_origins) or _("no host, as no definition asks any")
            messages.info(request, sentence % {"credential": obj, "hosts": hosts})

    def get_fields(self, request: HttpRequest, obj: ProviderCredential | None = None) -> Any:
        """Return the boxes for who may fill them in; for who may only look, whether they are filled."""
        if self.has_change_permission(request, obj) or (obj is None and self.has_add_permission(request)):
            return ("platform", "gateway", "base_url", "new_api_key", "goes_to", "new_webhook_secret")
        return ("platform", "gateway", "base_url", "has_key", "goes_to", "has_webhook_secret")

    @admin.display(description=gettext_lazy("key"))
    def has_key(self, credential: ProviderCredential) -> str:
        return yes_or_no(bool(credential.api_key))

    @admin.display(description=gettext_lazy("key is sent to"))
    def bound(self, credential: ProviderCredential) -> str:
        return ", ".join(credential.key_origins) or "—"

    @admin.display(description=gettext_lazy("The key is sent to"))
    def goes_to(self, credential: ProviderCredential) -> str:
        """Say where the stored key goes, and where it does not although the definition asks there."""
        if not credential.api_key:
            return _("Where base URL and definition lead as the key is entered, and nowhere else.")
        missing = key_binding.unbound(credential, catalogue().by_slug.get(credential.platform))
        return _not_sent(credential, missing) if missing else self.bound(credential)

    @admin.display(description=gettext_lazy("webhook secret"))
    def has_webhook_secret(self, credential: ProviderCredential) -> str:
        return yes_or_no(bool(credential.webhook_secret))


def _not_sent(credential: ProviderCredential, missing: list[str]) -> str:
    return _(
        "The key of %(credential)s was entered for %(bound)s. It is not sent to %(missing)s: if it may be, "
        "enter the key again under Provider credentials."
    ) % {
        "credential": credential,
        "bound": ", ".join(credential.key_origins) or _("no host that is known"),
        "missing": ", ".join(missing),
    }
