"""The form of a personal access token."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.access import personal_tokens


class AccessTokenForm(forms.Form):
    """What a personal access token is for, and how long it lasts."""

    name = forms.CharField(
        label=_("Purpose"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    days = forms.TypedChoiceField(
        label=_("Expires after"),
        coerce=int,
        initial=90,
        choices=[(days, _("%(days)s days") % {"days": days}) for days in personal_tokens.LIFETIMES],
    )
