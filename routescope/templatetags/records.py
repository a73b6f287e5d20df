"""Template tags of the Operation Records pages."""

from __future__ import annotations

import re
from datetime import datetime

from django import template
from django.utils.safestring import SafeString, mark_safe

from routescope.filters.address import Address

register = template.Library()
_LINES = re.compile(r">\s*\n\s*<")


@register.simple_tag
def between(address: Address, start: datetime, end: datetime) -> Address:
    """Return the address of a view narrowed to a stretch of time."""
    return address.between(start, end)


@register.simple_tag
def without(address: Address, name: str) -> Address:
    """Return the address of a view without one of its filters."""
    return address.without(name)


class _Slim(template.Node):
    def __init__(self, nodes: template.NodeList) -> None:
        self.nodes = nodes

    def render(self, context: template.Context) -> SafeString:
        return mark_safe(_LINES.sub(">\n<", self.nodes.render(context)))  # noqa: S308


@register.tag
def slim(parser: template.base.Parser, token: template.base.Token) -> _Slim:
    """Leave out blank lines and indentation between tags: ``{% slim %} … {% endslim %}``."""
    nodes = parser.parse(("endslim",))
    parser.delete_first_token()
    return _Slim(nodes)
