"""The form in a record's details that prices its usage under another model, group or date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import cast

from django import forms
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Group, User
from logs.models import UsageDay, UsageRecord
from logs.pricing.charges import ChargeLine
from logs.pricing.quotes import Quote
from logs.pricing.receipts import repriced
from logs.pricing.unpriced import Unpriced


class _Form(forms.Form):
    model = forms.CharField(max_length=200)
    group = forms.CharField(max_length=200, required=False)
    day = forms.DateField()


@dataclass(frozen=True, slots=True)
class Reprice:
    """What was asked, and the answer: a quote, or the problems in words."""

    model: str
    group: str
    day: str
    quote: Quote | None
    problems: list[str]
    charged: Decimal | None

    @property
    def lines(self) -> tuple[ChargeLine, ...]:
        return self.quote.lines if self.quote else ()

    @property
    def difference(self) -> Decimal | None:
        if self.quote is None or self.charged is None or not self.quote.is_whole:
            return None
        return self.quote.total - self.charged


def answer(record: UsageRecord, data: QueryDict) -> Reprice:
    """Price the record's usage as asked. A group must be one of its user's own."""
    form = _Form(data)
    asked = {name: data.get(name, "")[:200] for name in ("model", "group", "day")}
    if not form.is_valid():
        problems = [
            f"{form.fields[name].label or name.capitalize()}: {error}"
            for name, errors in form.errors.items()
            for error in errors
        ]
        return Reprice(**asked, quote=None, problems=problems, charged=record.cost)
    model, name = form.cleaned_data["model"], form.cleaned_data["group"]
    group = _group(record, name)
    problems = []
    quote = None
    if name and group is None:
        problems.append(_("You have no records in a group called “%(name)s”.") % {"name": name})
    else:
        found = repriced(
            record, model, group.pk if group else None, _moment(record, form.cleaned_data["day"])
        )
        if isinstance(found, Unpriced):
            problems.append(found.sentence)
        else:
            quote = found
            problems += [missing.sentence for missing in found.missing]
    return Reprice(**asked, quote=quote, problems=problems, charged=record.cost)


def _group(record: UsageRecord, name: str) -> Group | None:
    """Return the group of a name among those of the record's user; of its own name, the one it came with."""
    if not name:
        return None
    own = cast("Group | None", record.group)
    if own is not None and own.called == name:
        return own
    owner = User.objects.filter(pk=record.user_id).first()
    ids = User(pk=owner.canonical_id).ids if owner else (record.user_id,)
    groups = UsageDay.objects.filter(user_id__in=ids).values("group_id")
    return Group.objects.filter(Q(id__in=groups) | Q(absorbed__in=groups), name=name).first()


def _moment(record: UsageRecord, day: date) -> datetime:
    """Return the record's own time of day on another day, in the person's zone."""
    local = timezone.localtime(record.created_at)
    if day == local.date():
        return record.created_at
    clock = time(local.hour, local.minute, local.second)
    return datetime.combine(day, clock, tzinfo=timezone.get_current_timezone())
