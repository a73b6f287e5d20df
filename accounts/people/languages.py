"""The languages a person can choose: those the settings name and that have a compiled catalogue."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import get_language_info, to_locale


@cache
def offered() -> dict[str, str]:
    """Return code -> its own name for itself. Read once: a new catalogue needs a restart anyway."""
    return {
        code: str(get_language_info(code)["name_local"])
        for code, _name in settings.LANGUAGES
        if code == settings.LANGUAGE_CODE or _has_catalogue(code)
    }


def _has_catalogue(code: str) -> bool:
    return any(
        (Path(path) / to_locale(code) / "LC_MESSAGES" / "django.mo").exists()
        for path in settings.LOCALE_PATHS
    )
