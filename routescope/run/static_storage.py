"""How static files are stored when they are collected: without comments, named by content, compressed."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile
from rcssmin import cssmin
from rjsmin import jsmin
from whitenoise.storage import CompressedManifestStaticFilesStorage

# Our own alone: what packages bring was made small by whoever made it, or is the admin's.
_SMALLER = {"css/": cssmin, "js/": jsmin}


class SmallStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """WhiteNoise's storage. The console's own style sheets and scripts lose what only people read."""

    def _save(self, name: str, content: Any) -> str:
        for beginning, smaller in _SMALLER.items():
            if name.startswith(beginning):
                content = ContentFile(smaller(b"".join(content.chunks())), name)
        return str(super()._save(name, content))
