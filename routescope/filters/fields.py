"""The filters that both tabs have: a time, and names picked from a list or typed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from django import forms
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django_filters import Filter

from routescope.data.ids import EPOCH

_EARLIEST, _LATEST = EPOCH, datetime(8999, 12, 31, tzinfo=UTC)
"""What may be asked for. Later, adding an hour or a zone's offset would leave the calendar."""


class MomentField(forms.Field):
    """A time in ISO 8601, with a blank or a T before the hour: in the person's zone, or with an offset."""

    def to_python(self, value: str | None) -> datetime | None:
        """Return the time in UTC. Raises ValidationError for what is no time."""
        if not value:
            return None
        try:
            moment = parse_datetime(value.strip().replace(" ", "+") if "T" in value else value.strip())
            if moment is None:
                raise ValueError
            if moment.tzinfo is None:
                moment = timezone.make_aware(moment)
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise forms.ValidationError(
                _("“%(value)s” is not a time. Write it as 2025-01-31 09:30.") % {"value": value[:40]}
            ) from None
        if not _EARLIEST <= moment <= _LATEST:
            raise forms.ValidationError(
                _("“%(value)s” is outside the possible times: from 1970 to before the year 9000.")
                % {"value": value[:40]}
            )
        return moment


class MomentFilter(Filter):
    field_class = MomentField


class NamesField(forms.Field):
    """Names picked from a list or typed, several at once; repeated in the query string."""

    widget = forms.SelectMultiple

    def to_python(self, value: Iterable[str] | None) -> list[str]:
        return list(dict.fromkeys(name.strip() for name in value or () if name.strip()))


class NamesFilter(Filter):
    field_class = NamesField


class PairsField(NamesField):
    """Names with a value each, ``name=value``; repeated in the query string."""

    def to_python(self, value: Iterable[str] | None) -> list[str]:
        """Return the pairs as they are written. Raises ValidationError for what is none."""
        pairs = super().to_python(value)
        for pair in pairs:
            if "=" not in pair:
                raise forms.ValidationError(
                    _("“%(value)s” is not a key and a value: write key=value.") % {"value": pair[:40]}
                )
        return pairs


class PairsFilter(NamesFilter):
    field_class = PairsField


class NumbersField(NamesField):
    """The numbers of rows picked from a list, several at once; repeated in the query string."""

    def to_python(self, value: Iterable[str] | None) -> list[int]:  # type: ignore[override]
        """Return the numbers. Raises ValidationError for what is none."""
        names = super().to_python(value)
        if any(not (name.isascii() and name.isdecimal() and len(name) <= _DIGITS) for name in names):
            raise forms.ValidationError(_("Choose from the list."))
        return [int(name) for name in names]


class NumbersFilter(NamesFilter):
    field_class = NumbersField


_DIGITS = 9
