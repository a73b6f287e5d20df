"""How a form's field is drawn: ``{% load fields %} {{ field|unprompted }}``."""

from __future__ import annotations

from django import template
from django.forms import BoundField
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def unprompted(field: BoundField) -> SafeString:
    """Draw the control without a placeholder: every field here has a label, which it would only repeat."""
    field.field.widget.attrs.pop("placeholder", None)
    return field.as_widget()
