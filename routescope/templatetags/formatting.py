"""Template filters over `routescope.text.formatting`.

``{% load formatting %} {{ record.cost|money_call }}``
"""

from __future__ import annotations

from django import template

from routescope.text import browsers, formatting, markdown

register = template.Library()

register.filter("money", formatting.money)
register.filter("money_call", formatting.money_call)
register.filter("money_column", formatting.money_column)
register.filter("money_average", formatting.money_average)
register.filter("money_exact", formatting.money_exact)
register.filter("point", formatting.point)
register.filter("tokens", formatting.tokens)
register.filter("compact", formatting.compact)
register.filter("exact", formatting.exact)
register.filter("plain", formatting.plain)
register.filter("pretty_json", formatting.pretty_json)
register.filter("json_value", formatting.json_value)
register.filter("percent", formatting.percent)
register.filter("ratio", formatting.ratio)
register.filter("change_from", formatting.change)
register.filter("duration", formatting.duration)
register.filter("when", formatting.when)
register.filter("when_ms", formatting.when_ms)
register.filter("clock", formatting.clock)
register.filter("minute", formatting.minute)
register.filter("rate", formatting.rate)
register.filter("day", formatting.day)
register.filter("month_day", formatting.month_day)
register.filter("ago", formatting.ago)
register.filter("short_id", formatting.short_id)
register.filter("browser", browsers.browser)
register.filter("inline_markdown", markdown.inline)
register.simple_tag(formatting.zone_label, name="zone_label")
