"""What stands in the console's paths, beyond what Django knows."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import StringConverter


class AnyText(StringConverter):
    """Whatever a gateway calls an ID: records of former versions have line breaks in theirs."""

    regex = r"[\s\S]+"


register_converter(AnyText, "any")
