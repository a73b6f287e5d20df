"""Forms of the account pages. Sign-in and its kin are django-allauth's."""

from __future__ import annotations

from typing import Any

from allauth.account.fields import PasswordField, SetPasswordField
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.people import languages, time_zones


class OwnForm(forms.ModelForm[User]):
    """Fields of one's own account."""

    def save(self, commit: bool = True) -> User:
        """Save these fields alone: rights that went in the meantime are not written back."""
        user = super().save(commit=False)
        if commit:
            user.save(update_fields=self.changed_data)
        return user


class ProfileForm(OwnForm):
    """What a person says of themselves. The language is asked only where there is a choice."""

    class Meta:
        model = User
        fields = ("name", "time_zone", "language", "theme")
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "name"}),
            "time_zone": forms.TextInput(
                attrs={"list": "time-zones", "autocomplete": "off", "spellcheck": "false"}
            ),
            "theme": forms.RadioSelect,
        }
        help_texts = {
            "name": _("Shown in place of your e-mail address."),
            "time_zone": _("Times and days on every page are in this zone. Type a city to find it."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = languages.offered()
        if len(offered) > 1:
            self.fields["language"] = forms.ChoiceField(label=_("Language"), choices=list(offered.items()))
        else:
            del self.fields["language"]

    def clean_time_zone(self) -> str:
        typed = str(self.cleaned_data["time_zone"])
        zone = time_zones.find(typed)
        if zone is None:
            raise ValidationError(
                _("No time zone is called “%(typed)s”. Choose one from the list, such as Asia/Shanghai."),
                params={"typed": typed},
            )
        return zone


class ThemeForm(OwnForm):
    class Meta:
        model = User
        fields = ("theme",)


class AcceptInviteForm(forms.Form):
    """The password of somebody who accepts an invitation, typed twice."""

    password1 = SetPasswordField(label=_("Password"))
    password2 = PasswordField(label=_("Confirm password"), autocomplete="new-password")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].user = user  # type: ignore[attr-defined]  # compared with their name

    def clean_password2(self) -> str:
        again = str(self.cleaned_data["password2"])
        if self.cleaned_data.get("password1") not in (None, again):
            raise ValidationError(_("The two passwords do not match."))
        return again
