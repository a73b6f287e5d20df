"""What sign-in by an OpenID provider keeps: who is who there, and the groups that its claims give."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.models import Group as PermissionGroup
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.models import AuditEntry, LinkedIdentity, User
from routescope.admin import ReadOnlyAdmin
from routescope.admin.sections import Section

# The provider is set up by the environment and no token is kept: pages for either would only be a place to
# put a secret. Identities are shown below, without what allauth would keep of their claims.
for _model in (SocialApp, SocialToken, SocialAccount):
    admin.site.unregister(_model)


@admin.register(LinkedIdentity)
class LinkedIdentityAdmin(AuditedAdmin[LinkedIdentity], ReadOnlyAdmin[LinkedIdentity]):
    section, place = Section.PEOPLE, 7
    about = _lazy("Which account of the OpenID provider signs in as whom.")
    fills = _lazy(
        "One comes at somebody's first sign-in through the provider; without single sign-on there are none."
    )
    audited_as = AuditEntry.Act.PEOPLE
    list_display = ("user", "uid", "provider", "date_joined", "last_login")
    list_select_related = ("user",)
    search_fields = ("user__email", "user__name", "uid")
    fields = ("user", "provider", "uid", "date_joined", "last_login")
    ordering = ("-id",)

    def audit_subject(self, obj: LinkedIdentity) -> User | None:
        return User.objects.get(pk=obj.user_id)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Superusers only: the next identity with this address becomes the account's."""
        return _is_superuser(request)


@admin.register(PermissionGroup)
class PermissionGroupAdmin(AuditedAdmin[PermissionGroup]):
    """Permissions that a claim gives as one (``OIDC_GROUPS``). Superusers change them, as anybody's."""

    section, place = Section.PEOPLE, 8
    about = _lazy("Rights that the OpenID provider's claims give together, as for all auditors.")
    fills = _lazy("You add them; they matter where OIDC_GROUPS names them.")
    index_name = _lazy("Permission groups")
    audited_as = AuditEntry.Act.PEOPLE
    list_display = ("name",)
    search_fields = ("name",)
    sortable_by = ()
    ordering = ("name",)
    filter_horizontal = ("permissions",)
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "permissions"),
                "description": _lazy(
                    "People join a group through a claim of the OpenID provider. To open this site they "
                    "must also be admins."
                ),
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
