"""What readers said of the guide: counts by page, and what they wrote."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import GuideAnswer
from routescope.admin import ReadOnlyAdmin
from routescope.admin.sections import Section
from routescope.web.guides import guides


class PageFilter(admin.SimpleListFilter):
    """The pages of the guide, by their titles."""

    title = _lazy("page")
    parameter_name = "page"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(guide.slug, guide.title) for guide in guides().values()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[GuideAnswer]) -> QuerySet[GuideAnswer]:
        return queryset.filter(page=self.value()) if self.value() else queryset


@admin.register(GuideAnswer)
class GuideAnswerAdmin(ReadOnlyAdmin[GuideAnswer]):
    section, place = Section.SYSTEM, 9
    about = _lazy("What readers said of the guide's pages.")
    fills = _lazy("One comes as somebody answers “Was this helpful?” at the end of a page.")
    change_list_template = "admin/accounts/guideanswer/change_list.html"
    list_display = ("answered_at", "page_title", "helpful", "comment", "user")
    list_filter = ("helpful", PageFilter)
    list_select_related = ("user",)
    fields = ("answered_at", "page_title", "helpful", "comment", "user")
    readonly_fields = ("page_title",)
    search_fields = ("comment",)

    @admin.display(description=_lazy("page"))
    def page_title(self, answer: GuideAnswer) -> str:
        shown = guides().get(answer.page)
        return shown.title if shown else answer.page

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, under the counts by page, in the guide's order."""
        counts = {
            page: (yes, no)
            for page, yes, no in GuideAnswer.objects.order_by()
            .values_list("page")
            .annotate(yes=Count("pk", filter=Q(helpful=True)), no=Count("pk", filter=Q(helpful=False)))
        }
        known = [(guide.title, *counts.pop(slug)) for slug, guide in guides().items() if slug in counts]
        gone = [(page, *both) for page, both in sorted(counts.items())]
        context = {"title": _lazy("Guide answers"), "counts": known + gone}
        return super().changelist_view(request, {**context, **(extra_context or {})})
