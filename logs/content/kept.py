"""What is kept of a person's calls, and for how long: by the settings, and by their tokens' policies."""

from __future__ import annotations

from collections import defaultdict

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import ApiToken, Gateway, User, UserIdentity
from logs.content.contents import Policies
from logs.models import Level
from routescope.contracts.keeping import Kept
from routescope.text import formatting

_MOST = 50
"""Tokens and gateways that are looked at: their policies are enough to say what holds."""


def kept(user: User) -> list[Kept]:
    """Return how long records, their sums and their content are kept."""
    months, years = settings.RECORD_RETENTION_MONTHS, settings.ROLLUP_RETENTION_YEARS
    return [
        Kept(
            _("Usage records"),
            ngettext("%(n)s month", "%(n)s months", months) % {"n": months},
            _("With their cost, tokens, errors and request parameters."),
        ),
        Kept(
            _("Daily and hourly totals"),
            ngettext("%(n)s year", "%(n)s years", years) % {"n": years},
            _("Figures and comparisons still work after the single records are gone."),
        ),
        _content(user),
    ]


def _content(user: User) -> Kept:
    days = settings.CONTENT_RETENTION_DAYS
    by_level = _tokens_by_level(user)
    if set(by_level) <= {Level.OFF}:
        return Kept(
            _("Input and output"), _("Not kept"), _("The content policy is off for every token of yours.")
        )
    words = {
        Level.REDACTED: _("without secrets, e-mail addresses, phone and card numbers"),
        Level.FULL: _("in full"),
    }
    most = formatting.exact(settings.CONTENT_MAX_BYTES)
    sentences = [_("At most %(n)s bytes of each, encrypted.") % {"n": most}]
    for level, names in sorted(by_level.items(), reverse=True):
        if len(by_level) == 1:
            sentences.insert(0, _("Kept %(how)s.") % {"how": words[level]})
        elif level is Level.OFF:
            sentences.append(_("Not kept for: %(tokens)s.") % {"tokens": _listed(names)})
        else:
            sentences.append(
                _("Kept %(how)s for: %(tokens)s.") % {"how": words[level], "tokens": _listed(names)}
            )
    how_long = ngettext("%(n)s day", "%(n)s days", days) % {"n": days}
    return Kept(_("Input and output"), how_long, " ".join(sentences))


def _tokens_by_level(user: User) -> dict[Level, list[str]]:
    """Return the person's tokens by the policy for their calls; through several gateways, by each of them."""
    tokens = list(
        ApiToken.objects.filter(owner_id__in=user.ids, merged_into=None).order_by("name", "pk")[:_MOST]
    )
    found: defaultdict[Level, list[str]] = defaultdict(list)
    sending = UserIdentity.objects.filter(user_id__in=user.ids).values("gateway_id")
    for gateway in Gateway.objects.filter(pk__in=sending).order_by("pk").values_list("pk", flat=True)[:_MOST]:
        policies = Policies.of(gateway)
        for token in tokens:
            names = found[policies.level(token.group_id, token.pk)]
            if token.name not in names:
                names.append(token.name)
    return dict(found)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    further = len(names) - 5
    return shown if further <= 0 else _("%(names)s and %(n)s more") % {"names": shown, "n": further}
