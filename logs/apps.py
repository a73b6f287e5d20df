from urllib.parse import urlencode

from django.apps import AppConfig
from django.core import checks
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class LogsConfig(AppConfig):
    name = "logs"

    def ready(self) -> None:
        from logs.content import kept
        from logs.content.content_store import UsageContentStore
        from logs.exports import UsageSource
        from logs.filters.asked import VIEW_ALL, usage_scope
        from logs.ingest.ledger import UsageLedger
        from logs.maintenance import new_deployments, new_prices  # noqa: F401  (listen for them)
        from logs.maintenance.rejudging import rejudge
        from logs.models import UsageRecord
        from logs.pricing import overlay
        from routescope.contracts import content_store, keeping, ledger, navigation, rejudging, tabs
        from routescope.data.scopes import Scope
        from routescope.exports import sources

        def find(scope: Scope, identifier: str) -> str:
            try:
                here = usage_scope(scope.viewer, scope.of)
            except Http404:
                return ""
            if not UsageRecord.objects.visible_to(here).identified_by(identifier).exists():
                return ""
            return f"{reverse('usage')}?{urlencode({'request_id': identifier})}{here.further}"

        checks.register(overlay.check)
        sources.provide(UsageSource())
        ledger.register(UsageLedger())
        content_store.register(UsageContentStore())
        rejudging.register("records", rejudge)
        keeping.register("usage", 10, kept.kept)
        tabs.register(tabs.RecordsTab("usage", _("Usage Logs"), find, VIEW_ALL))
        tokens = navigation.Entry(_("API tokens"), "tokens", "key", 20, ("/tokens/",), shows_others=True)
        navigation.register(tokens)
