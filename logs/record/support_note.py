"""A record in a few lines of text for support: what helps to find and judge it, and no content."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import AIModel, ApiToken, Group
from logs.causes.judging import Verdict
from logs.models import UsageRecord
from logs.pricing import receipts, unpriced
from logs.pricing.quotes import is_priced_here
from logs.record.tokens import ESTIMATED
from routescope.text import formatting
from routescope.text.redaction import redacted


def note(record: UsageRecord, verdict: Verdict | None, ordered: str = "") -> str:
    """Return the note, redacted. Its times are in the person's zone, which it names.

    ``ordered`` says what was ordered, where that is counted in no tokens.
    """
    model = cast("AIModel | None", record.model)
    token = cast("ApiToken | None", record.token)
    group = cast("Group | None", record.group)
    evidence = verdict.evidence if verdict else None
    zone = formatting.zone_label(at=record.created_at)
    lines = [
        (_("Request ID"), record.request_id),
        (_("Upstream request ID"), record.upstream_request_id),
        (_("Task ID"), record.task_id),
        (_("Time"), f"{formatting.when_ms(record.created_at)} ({zone})"),
        (_("Status"), record.status_word),
        (_("Cause"), str(record.get_cause_display()) if verdict else None),
        (_("Evidence"), f"{evidence.label}: {evidence.value}" if evidence else None),
        (_("Error type"), record.error_type),
        (_("Error code"), record.error_code),
        (_("Error message"), record.error_message),
        (_("Parameter"), record.error_param),
        (_("Model"), model.name if model else None),
        (_("Token"), token.called if token else None),
        (_("Group"), group.called if group else None),
        (_("Endpoint"), record.endpoint),
        (_("Provider"), record.provider),
        (_("Duration"), formatting.duration(record.duration_ms) if record.duration_ms is not None else None),
        (_("Ordered"), ordered),
        (_("Tokens"), None if ordered else _tokens(record)),
        (_("Cost"), _cost(record)),
        (_("Link"), settings.BASE_URL + record.permalink),
    ]  # fmt: skip
    return "\n".join(f"{label}: {redacted(value)}" for label, value in lines if value)


def _tokens(record: UsageRecord) -> str:
    counts = f"{formatting.exact(record.input_tokens)} › {formatting.exact(record.output_tokens)}"
    return f"{counts} ({ESTIMATED})" if record.usage_estimated else counts


def _cost(record: UsageRecord) -> str:
    """Return what it cost and whether that was charged; else what of it has no price."""
    if record.cost is None:
        kinds = unpriced.labels((record.billing or {}).get("unpriced"))
        return _("unpriced: %(kinds)s") % {"kinds": ", ".join(kinds)} if kinds else _("unpriced")
    amount = formatting.money_exact(record.cost)
    if not is_priced_here(record.billing):
        return amount
    words = receipts.total_label(str((record.billing or {}).get("source")), True)
    return f"{amount} ({words})"
