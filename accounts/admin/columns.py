"""Columns that say whose something is, by the names of today."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Mergeable, User
from routescope.admin import nowrap


class OwnerColumns(admin.ModelAdmin[Any]):
    """For rows with ``user``, ``token`` and ``group``, loaded with what they were merged into."""

    @admin.display(description=_lazy("User"))
    def person(self, row: Any) -> str:
        user: User = row.user
        if user.merged_into_id is None:
            return str(user)
        return _("%(user)s, as %(name)s") % {"user": user.called, "name": user}

    @admin.display(description=_lazy("Token"))
    def token_name(self, row: Any) -> SafeString:
        return nowrap(_called(row.token))

    @admin.display(description=_lazy("Group"))
    def group_name(self, row: Any) -> SafeString:
        return nowrap(_called(row.group))


def _called(row: Mergeable | None) -> str | None:
    return None if row is None else row.called
