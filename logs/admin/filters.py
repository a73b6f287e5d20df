"""The filters above the admin's list of usage records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Model
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.pickers import PersonField, TokenField
from accounts.models import AIModel, ApiToken, Group, Mergeable, User
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.selection.chosen import Selection
from routescope.admin import RangeForm, look_up
from routescope.data.partitions import Month
from routescope.text import pasted


class UsageRecordForm(RangeForm):
    """The filters of the records' list."""

    user = PersonField(User.objects.all(), label=_lazy("User"), required=False)
    token = TokenField(ApiToken.objects.select_related("owner"), label=_lazy("Token"), required=False)
    model = forms.ModelMultipleChoiceField(AIModel.objects.all(), label=_lazy("Model"), required=False)
    group = forms.ModelMultipleChoiceField(Group.objects.all(), label=_lazy("Group"), required=False)
    status = forms.TypedChoiceField(
        label=_lazy("Status"),
        required=False,
        coerce=int,
        choices=[("", _lazy("All")), *Status.choices],
    )
    cause = forms.TypedChoiceField(
        label=_lazy("Cause"),
        required=False,
        coerce=int,
        choices=[("", _lazy("All")), *((cause.value, cause.label) for cause in Cause if cause)],
    )
    type = forms.TypedChoiceField(
        label=_lazy("Type"),
        required=False,
        coerce=int,
        choices=[("", _lazy("All")), *RecordType.choices],
    )

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        for name in ("user", "token", "model", "group"):
            look_up(self, UsageRecord, name)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        user, token = cleaned.get("user"), cleaned.get("token")
        if user and token and token.owner.canonical_id != user.canonical_id:
            self.add_error(
                "token",
                _("This token belongs to %(owner)s. Clear the user, or choose another token.")
                % {"owner": token.owner},
            )
        return cleaned

    @property
    def identifier(self) -> str:
        return pasted.found_in(
            super().identifier, lambda one: UsageRecord.objects.identified_by(one).exists()
        )

    @property
    def one_user(self) -> User | None:
        """The only user whose records can match: the one chosen, or the chosen token's owner."""
        token = self.cleaned_data.get("token")
        owner = (token.owner.merged_into or token.owner) if token else None
        user: User | None = self.cleaned_data.get("user") or owner
        return user

    @property
    def selection(self) -> Selection:
        cleaned = self.cleaned_data
        oldest = Month.of(self.now).plus(-settings.RECORD_RETENTION_MONTHS).start
        return Selection(
            chosen=self.chosen_range(oldest),
            tokens=_ids([cleaned["token"]] if cleaned.get("token") else []),
            models=_ids(cleaned.get("model") or ()),
            groups=_ids(cleaned.get("group") or ()),
            statuses=_given(cleaned.get("status")),
            types=_given(cleaned.get("type")),
            causes=_given(cleaned.get("cause")),
        )


def _ids(chosen: Iterable[Model]) -> tuple[int, ...]:
    """Return the ids of what was chosen, those included that were merged into it."""
    return tuple(pk for row in chosen for pk in (row.ids if isinstance(row, Mergeable) else (row.pk,)))


def _given(value: object) -> tuple[int, ...]:
    return (int(str(value)),) if value not in (None, "") else ()
