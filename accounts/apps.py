from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.exports.kept import kept
        from routescope.contracts import keeping, navigation
        from routescope.contracts.navigation import Entry

        navigation.register(Entry(_("Exports"), "exports", "download", 30, ("/exports/",)))
        navigation.register(Entry(_("Learn"), "learn", "book", 50, ("/learn/",)))
        # The pages of allauth belong to it too.
        profile = Entry(
            _("Profile and security"), "profile", "person", 10, ("/profile/", "/accounts/"), is_personal=True
        )
        navigation.register(profile)
        keeping.register("exports", 40, kept)
