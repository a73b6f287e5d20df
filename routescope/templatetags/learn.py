"""The quiet "?" that leads from a page to the chapter about it: ``{% load learn %} {% about "rates" %}``."""

from __future__ import annotations

from dataclasses import dataclass

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

register = template.Library()


@dataclass(frozen=True, slots=True)
class Topic:
    """``chapter`` is the guide's page, ``anchor`` a heading in it; ``name`` is what the link says."""

    chapter: str
    name: StrPromise
    anchor: str = ""


TOPICS = {
    "rates": Topic("rpm-and-tpm", _("About RPM and TPM")),
    "limits": Topic("rpm-and-tpm", _("About limits"), "when-a-limit-is-reached"),
    "percentiles": Topic("consumption", _("About percentiles"), "how-long-calls-took"),
    "cost": Topic("cost", _("About cost")),
    "content": Topic("input-and-output", _("About input and output")),
    "causes": Topic("errors", _("About causes"), "causes"),
    "not-found": Topic("find-a-request", _("About records that are not found"), "if-nothing-is-found"),
    "tasks": Topic("task-logs", _("About Task Logs")),
    "task-results": Topic("task-results", _("About task results")),
    "task-failures": Topic("task-results", _("About failed tasks"), "find-out-why-a-task-failed"),
    "exports": Topic("exports", _("About exports")),
    "tags": Topic("filters", _("About tags and metadata"), "tags-and-metadata"),
}


@register.simple_tag
def about(topic: str) -> SafeString:
    """Link to the chapter about a topic. Raises KeyError for one that is not known."""
    known = TOPICS[topic]
    url = reverse("guide", args=[known.chapter]) + (f"#{known.anchor}" if known.anchor else "")
    return format_html('<a class="about" href="{}" aria-label="{}">?</a>', url, known.name)
