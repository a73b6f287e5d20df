"""What the frame of every page carries."""

from __future__ import annotations

import json

from django import template

register = template.Library()


@register.simple_tag(takes_context=True)
def htmx_headers(context: template.Context) -> str:
    """Return the headers that htmx sends with each request, as JSON for an attribute."""
    return json.dumps({"x-csrftoken": str(context.get("csrf_token", ""))})
