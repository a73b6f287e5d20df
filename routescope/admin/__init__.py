"""The Django admin's frame: one sign-in, an ordered index, and lists of big tables that are paged by key."""

from routescope.admin.bases import KeptAdmin, ReadOnlyAdmin, ShortInline
from routescope.admin.guards import GuardedAdmin
from routescope.admin.keyset import (
    PAGE_SIZE,
    Figure,
    KeysetAdmin,
    Listing,
    LookUp,
    LookUpSeveral,
    RangeForm,
    look_up,
    whole_hours,
)
from routescope.admin.sections import Section
from routescope.admin.values import badge, facts, links, listed, mono, nowrap, pretty_json, yes_or_no

__all__ = [
    "PAGE_SIZE", "Figure", "GuardedAdmin", "KeptAdmin", "KeysetAdmin", "Listing", "LookUp", "LookUpSeveral",
    "RangeForm", "ReadOnlyAdmin", "Section", "ShortInline", "badge", "facts", "links", "listed",
    "look_up", "mono", "nowrap", "pretty_json", "whole_hours", "yes_or_no",
]  # fmt: skip
