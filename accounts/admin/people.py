"""Users: known from a gateway, invited, active or closed."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group as PermissionGroup
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts.admin.audited import AuditedAdmin
from accounts.admin.merging import MergeViews
from accounts.admin.pickers import person_label
from accounts.models import ApiToken, AuditEntry, LinkedIdentity, User, UserIdentity
from accounts.people import closing, invites, time_zones
from accounts.people.languages import offered
from accounts.sign_in.oidc import claimed_rights
from accounts.staff.rights import reaches
from routescope.admin import KeptAdmin, ReadOnlyAdmin, ShortInline, badge, links, listed, yes_or_no
from routescope.admin.sections import Section
from routescope.config.mail import SILENT
from routescope.text import formatting

logger = logging.getLogger(__name__)

_ACTIVE = Q(is_active=True)
_CAME_OR_CLOSED = Q(last_login__isnull=False) | Q(closed_at__isnull=False)
_CLOSED = Q(is_active=False) & _CAME_OR_CLOSED
_INVITED = Q(is_active=False, invited_at__isnull=False) & ~_CAME_OR_CLOSED
_PROVISIONED = Q(is_active=False, invited_at=None) & ~_CAME_OR_CLOSED


class AddUserForm(AdminUserCreationForm):
    """A new person: with a password now, or with an invitation by e-mail to choose one."""

    usable_password = forms.ChoiceField(
        label=_lazy("Sign-in"),
        initial="false",
        choices=[("false", _lazy("Invite by e-mail")), ("true", _lazy("Set a password now"))],
        widget=forms.RadioSelect(attrs={"class": "radiolist inline"}),
    )

    class Meta:
        model = User
        fields = ("email", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True

    @property
    def is_invitation(self) -> bool:
        return not self.cleaned_data["set_usable_password"]


class EditUserForm(UserChangeForm[User]):
    language = forms.ChoiceField(label=_lazy("Language"), choices=lambda: list(offered().items()))

    class Meta:
        model = User
        exclude = ("preferences", "groups")

    def clean_is_active(self) -> bool:
        active = bool(self.cleaned_data["is_active"])
        if active and self.instance.merged_into_id:
            raise forms.ValidationError(
                _("This user is part of %(other)s. Separate the two first."),
                params={"other": self.instance.merged_into},
            )
        return active

    def clean_time_zone(self) -> str:
        typed = str(self.cleaned_data["time_zone"])
        zone = time_zones.find(typed)
        if zone is None:
            raise forms.ValidationError(
                _("No time zone is called “%(typed)s”. Write it as Asia/Shanghai."), params={"typed": typed}
            )
        return zone


class InviteForm(forms.ModelForm[User]):
    """Where the invitation goes. An address that is somebody else's already is refused."""

    class Meta:
        model = User
        fields = ("email",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True
        self.fields["email"].error_messages["unique"] = _(
            "Someone already has this address. If they are the same person, merge this user into them: past "
            "and future records follow."
        )


class StateFilter(admin.SimpleListFilter):
    title = _lazy("state")
    parameter_name = "state"
    conditions = {"active": _ACTIVE, "invited": _INVITED, "provisioned": _PROVISIONED, "closed": _CLOSED}

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [
            ("active", _("Active")),
            ("invited", _("Invited")),
            ("provisioned", _("Known only from a gateway")),
            ("closed", _("Closed")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        condition = self.conditions.get(self.value() or "")
        return None if condition is None else queryset.filter(condition)


class IdentityInline(ShortInline[UserIdentity, User]):
    model = UserIdentity
    parent = "user"
    linked = "name"
    fields = ("name", "gateway")
    verbose_name_plural = _lazy("Identities: what gateways call this user")


class TokenInline(ShortInline[ApiToken, User]):
    model = ApiToken
    parent = "owner"
    linked = "name"
    fields = ("name", "masked_key", "group", "rpm_limit", "tpm_limit", "status")


@admin.register(User)
class UserAdmin(MergeViews, KeptAdmin[User], BaseUserAdmin):  # type: ignore[type-arg]
    section, place = Section.PEOPLE, 1
    about = _lazy("Everybody whose calls are recorded, and everybody who may sign in.")
    fills = _lazy("A gateway's first record of somebody makes them; you can also add and invite people.")
    audited_as = AuditEntry.Act.PEOPLE
    form = EditUserForm
    add_form = AddUserForm
    add_form_template = "admin/accounts/user/add_form.html"
    change_form_template = "admin/accounts/user/change_form.html"
    list_display = ("person", "email", "state", "is_admin", "first_seen", "last_seen", "related")
    list_display_links = ("person",)
    list_filter = (StateFilter, "is_staff")
    search_fields = ("email", "name", "identities__name")
    search_help_text = _lazy("E-mail, name, or what a gateway calls them.")
    ordering = ("-id",)
    sortable_by = ()
    inlines = (IdentityInline, TokenInline)
    filter_horizontal = ("user_permissions",)
    actions = ("invite_selected",)
    readonly_fields = ("state", "part_of", "by_claims", "invited", "first_seen", "last_seen")
    fieldsets = (
        (None, {"fields": ("email", "name", "state", "part_of", "password")}),
        (_lazy("Display"), {"fields": ("time_zone", "language", "theme")}),
        (_lazy("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "by_claims")}),
        (_lazy("Permissions of an admin"), {"classes": ("collapse",), "fields": ("user_permissions",)}),
        (_lazy("Dates"), {"fields": ("first_seen", "invited", "last_seen")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    autocomplete_label = staticmethod(person_label)

    # --- Who may change whom

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody changes who can do more than they can: a new password is a way into the account."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or reaches(request.user, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only a superuser makes admins, and nobody locks themselves out."""
        if not _superuser(request):
            return (*self.readonly_fields, "is_staff", "is_superuser", "user_permissions")
        if obj is not None and obj.pk == request.user.pk:
            return (*self.readonly_fields, "is_active", "is_staff", "is_superuser")
        return self.readonly_fields

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        return self.inlines if obj else ()

    # --- Saving and inviting

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change and form.is_invitation:
            obj.is_active = False
        if obj.is_active:
            obj.closed_at = None
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data and not obj.is_active:
            closing.close(obj)
        claimed_rights.keep(obj, {"is_staff", "is_superuser"} & set(form.changed_data))
        if "email" in form.changed_data:
            # Sign-in and password resets look at these too: an address taken away must not open the account.
            EmailAddress.objects.filter(user=obj).exclude(email__iexact=obj.email or "").delete()
            LinkedIdentity.objects.filter(user=obj).delete()

    def response_add(
        self, request: HttpRequest, obj: User, post_url_continue: str | None = None
    ) -> HttpResponse:
        if not obj.is_active and IS_POPUP_VAR not in request.POST:
            self._invite(request, obj)
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Django's page, with the change and its entry in the audit log in one transaction."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def get_urls(self) -> list[URLPattern]:
        invite = self.admin_site.admin_view(self.invite_view)
        return [path("<path:object_id>/invite/", invite, name="accounts_user_invite"), *super().get_urls()]

    def invite_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask where the invitation goes, and send it."""
        self.require_change(request)
        user = self.get_object(request, unquote(object_id))
        if user is None or user.merged_into_id:
            raise Http404
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        sent = request.POST if request.method == "POST" and not user.is_active else None
        form = InviteForm(sent, instance=User.objects.get(pk=user.pk))
        if form.is_valid():
            invited = form.save(commit=False)
            with transaction.atomic():
                self.save_model(request, invited, form, change=True)
                if form.has_changed():
                    self.log_change(request, invited, [{"changed": {"fields": ["email"]}}])
                self._invite(request, invited)
            return HttpResponseRedirect(reverse("admin:accounts_user_change", args=[user.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Invite %(person)s") % {"person": user},
            "opts": self.opts,
            "original": user,
            "form": form,
            "base_url": settings.BASE_URL,
        }
        return TemplateResponse(request, "admin/accounts/user/invite.html", context)

    @admin.action(description=_lazy("Invite selected users"), permissions=["change"])
    def invite_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Invite those who have an address and cannot sign in yet; say who was left out."""
        skipped = []
        for user in queryset:
            out = user.is_active or user.merged_into_id or not user.email
            if out or not self.has_change_permission(request, user):
                skipped.append(str(user))
            else:
                self._invite(request, user)
        if skipped:
            sentence = ngettext(
                "Not invited because they can already sign in or have no e-mail address: %(names)s.",
                "Not invited because they can already sign in or have no e-mail address: %(names)s.",
                len(skipped),
            )
            messages.warning(request, sentence % {"names": ", ".join(skipped)})

    def _invite(self, request: HttpRequest, user: User) -> None:
        """Send an invitation, and tell the admin what became of it."""
        try:
            with transaction.atomic():
                invites.invite(user)
                self.log_change(request, user, "Invited.")
        except OSError as error:
            logger.exception("The invitation of user %s could not be sent", user.pk)
            sentence = _(
                "The invitation could not be sent: %(error)s. Fix the mail settings and invite again."
            )
            messages.error(request, sentence % {"error": error})
            return
        messages.success(request, _("An invitation is on its way to %(email)s.") % {"email": user.email})
        if settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
            messages.warning(
                request, _("E-mail is not set up: the invitation was written to the server's output instead.")
            )
        elif settings.EMAIL_BACKEND in SILENT:
            messages.warning(request, _("E-mail is switched off: the invitation was not sent."))

    # --- Columns

    @admin.display(description=_lazy("User"))
    def person(self, user: User) -> str:
        return str(user)

    @admin.display(description=_lazy("Admin"))
    def is_admin(self, user: User) -> str:
        return yes_or_no(user.is_staff)

    @admin.display(description=_lazy("See"))
    def related(self, user: User) -> SafeString:
        return links(
            (_("Records"), listed("logs_usagerecord", user=user.pk)),
            (_("Tasks"), listed("tasks_asynctask", user=user.pk)),
            (_("Tokens"), listed("accounts_apitoken", owner__id__exact=user.pk)),
        )

    @admin.display(description=_lazy("State"))
    def state(self, user: User) -> SafeString:
        if user.merged_into_id:
            return badge("quiet", _("Merged"))
        if user.is_active:
            return badge("success", _("Active"))
        if user.last_login is not None or user.closed_at is not None:
            return badge("error", _("Closed"))
        return badge("quiet", _("From a gateway")) if user.is_provisioned else badge("running", _("Invited"))

    @admin.display(description=_lazy("By single sign-on"))
    def by_claims(self, user: User) -> str:
        """Name the rights that the provider's claims gave last: in force for who came by the provider."""
        held = user.claimed_rights.select_related("group").order_by("pk")
        return ", ".join(str(right) for right in held) or formatting.UNKNOWN

    @admin.display(description=_lazy("Invited"))
    def invited(self, user: User) -> SafeString:
        return _moment(user.invited_at)

    @admin.display(description=_lazy("First seen"))
    def first_seen(self, user: User) -> SafeString:
        return _moment(user.date_joined)

    @admin.display(description=_lazy("Last sign-in"))
    def last_seen(self, user: User) -> SafeString:
        return _moment(user.last_login)


# Second factors without their secrets: an admin takes a lost one away, and reads none. Sessions, addresses
# and permission groups of the packages are left out: addresses follow the user's own, and their search
# expects user names.
for _model in (Authenticator, UserSession, EmailAddress, PermissionGroup):
    admin.site.unregister(_model)


@admin.register(Authenticator)
class SecondFactorAdmin(AuditedAdmin[Authenticator], ReadOnlyAdmin[Authenticator]):
    section, place = Section.PEOPLE, 6
    about = _lazy(
        "The second factors of people's sign-ins, without their secrets. Delete one that its owner has lost."
    )
    fills = _lazy(
        "One comes as somebody sets up an authenticator app, a passkey or recovery codes in their profile."
    )
    audited_as = AuditEntry.Act.PEOPLE
    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "user__name")
    fields = ("user", "type", "created_at", "last_used_at")
    ordering = ("-id",)

    def audit_subject(self, obj: Authenticator) -> User | None:
        return User.objects.get(pk=obj.user_id)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Superusers only: without the second factor an account is as safe as its password."""
        return _superuser(request)


def _superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _moment(moment: Any) -> SafeString:
    return format_html('<span class="num nowrap">{}</span>', formatting.when(moment))
