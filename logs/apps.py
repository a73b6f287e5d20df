from urllib.parse import urlencode

from django.apps import AppConfig
from django.core import checks
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class LogsConfig(AppConfig):
    name = "logs"

    def ready(self) -> None:
        from logs.content import kept
        from logs.content.content_store import UsageContentStore
        from logs.exports import UsageSource
        from logs.ingest.ledger import UsageLedger
        from logs.maintenance import new_prices  # noqa: F401  (listens for them)
        from logs.models import UsageRecord
        from logs.pricing import overlay
        from routescope.contracts import content_store, keeping, ledger, navigation, tabs
        from routescope.data.scopes import Scope
        from routescope.exports import sources

        def find(scope: Scope, identifier: str) -> str:
            if not UsageRecord.objects.visible_to(scope).identified_by(identifier).exists():
                return ""
            return f"{reverse('usage')}?{urlencode({'request_id': identifier})}"

        checks.register(overlay.check)
        sources.provide(UsageSource())
        ledger.register(UsageLedger())
        content_store.register(UsageContentStore())
        keeping.register("usage", 10, kept.kept)
        tabs.register(tabs.RecordsTab("usage", _("Usage Logs"), find))
        navigation.register(navigation.Entry(_("API tokens"), "tokens", "key", 20, ("/tokens/",)))
