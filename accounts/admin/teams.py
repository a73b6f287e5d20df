"""Teams in the Django admin: who is in them, from when on and until when, and who leads them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts.admin.audited import AuditedAdmin
from accounts.models import AuditEntry, Membership, Team, User
from routescope.admin import ShortInline, links, listed
from routescope.admin.chosen import Chosen
from routescope.admin.sections import Section
from routescope.data.partitions import Month

_TOLD = _lazy(
    "A gateway tells of this member with each of their records: deleted, the line would come back. Say"
    " instead when they left. They then stay out, whatever is recorded."
)
_EARLIER = _lazy(
    "Leads see what was recorded from joining to leaving; “records from” lets them see earlier records, too."
)


class _OfTeams:
    """Whoever may change a team changes who is in it: memberships have no rights of their own."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("accounts.view_team") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("accounts.change_team")


class MembersFormSet(BaseInlineFormSet[Membership, Team, forms.ModelForm[Membership]]):
    """Nobody is in a team twice at a time: looked at here, since Django leaves the constraint to the database
    where the team is not chosen in the form itself.
    """

    def clean(self) -> None:
        super().clean()
        rows = [form for form in self.forms if form.is_valid() and not form.cleaned_data.get("DELETE")]
        others = Membership.objects.filter(team=self.instance.pk, until=None)
        others = others.exclude(pk__in=[form.instance.pk for form in self.initial_forms])
        here = set(others.values_list("user", flat=True)) if self.instance.pk else set()
        for form in rows:
            user = form.cleaned_data.get("user")
            if user is None or form.cleaned_data.get("until"):
                continue
            if user.pk in here:
                form.add_error("user", _("They are in this team already."))
            here.add(user.pk)


class MembershipForm(forms.ModelForm[Membership]):
    """One membership. It does not go on again while the person is in the team anew."""

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        row = self.instance
        others = Membership.objects.filter(team=row.team_id, user=row.user_id, until=None).exclude(pk=row.pk)
        if until is None and others.exists():
            raise forms.ValidationError(_("They are in this team already."))
        return until


class MembershipInline(_OfTeams, admin.TabularInline[Membership, Team]):
    """The members that an admin added."""

    model = Membership
    formset = MembersFormSet
    autocomplete_fields = ("user",)
    fields = ("user", "since", "until", "records_from")
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).filter(told_by=None)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("accounts.change_team" if obj else "accounts.add_team")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)


class AddedInline(MembershipInline):
    """The same beside those that a gateway told of."""

    verbose_name_plural = _lazy("Members that an admin added")


class ToldMemberInline(_OfTeams, ShortInline[Membership, Team]):
    """The members that the gateway told of, of whom there may be thousands."""

    model = Membership
    parent = "team"
    linked = "user"
    which = Q(told_by__isnull=False)
    fields = ("user", "since", "until", "records_from")
    verbose_name_plural = _lazy("Members that the gateway told of, the newest")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Team)
class TeamAdmin(AuditedAdmin[Team]):
    section, place = Section.PEOPLE, 4
    about = _lazy("People whose records somebody answers for: the leads see them, without content.")
    fills = _lazy("You make one, and choose its members and leads, or a gateway tells of its own.")
    audited_as = AuditEntry.Act.PEOPLE
    list_display = ("name", "members", "led_by", "told_by", "related")
    list_filter = (("told_by", Chosen),)
    list_select_related = ("told_by",)
    search_fields = ("name", "external_id")
    search_help_text = _lazy("Name, or the gateway's ID.")
    sortable_by = ()
    ordering = ("name", "id")
    autocomplete_fields = ("leads",)
    readonly_fields = ("told_by", "external_id")
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "leads", ("told_by", "external_id")),
                "description": _lazy(
                    "Leads see the members' records in the console, without what these sent and were"
                    " answered. From when on they see them, and until when, each member's line says."
                ),
            },
        ),
    )
    inlines = (MembershipInline,)

    def get_fieldsets(self, request: HttpRequest, obj: Team | None = None) -> Any:
        """A team that is yet to be made was told by nobody."""
        if obj is not None:
            return self.fieldsets
        return ((None, {**self.fieldsets[0][1], "fields": ("name", "leads")}),)

    def get_inlines(self, request: HttpRequest, obj: Team | None) -> Any:
        return (AddedInline, ToldMemberInline) if obj and obj.told_by_id else self.inlines

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        here = Q(memberships__until=None, memberships__isnull=False)
        counted = Count("memberships__user", filter=here, distinct=True)
        return super().get_queryset(request).annotate(members_now=counted).prefetch_related("leads")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A team goes with all its members, those that a gateway told of, too."""
        found, counts, lacking, kept = super().get_deleted_objects(objs, request)
        members = str(Membership._meta.verbose_name)
        return found, counts, {str(one) for one in lacking} - {members}, kept

    @admin.display(description=_lazy("Members"))
    def members(self, team: Team) -> int:
        return int(getattr(team, "members_now", 0))

    @admin.display(description=_lazy("Leads"))
    def led_by(self, team: Team) -> str:
        return ", ".join(str(lead) for lead in team.leads.all())

    @admin.display(description=_lazy("See"))
    def related(self, team: Team) -> SafeString:
        return links((_lazy("Members"), listed("accounts_membership", team__id__exact=team.pk)))


@admin.register(Membership)
class MembershipAdmin(_OfTeams, AuditedAdmin[Membership]):
    section, place = Section.PEOPLE, 5
    index_name = _lazy("Team members")
    about = _lazy("Who is in which team, or was, and which of their records its leads see.")
    fills = _lazy("You add people on a team's page; a gateway whose groups are teams tells of its own.")
    audited_as = AuditEntry.Act.PEOPLE
    form = MembershipForm
    list_display = ("user", "team", "since", "until", "records_from", "told_by")
    list_filter = (("team", Chosen), ("user", Chosen))
    list_select_related = ("user", "team", "told_by")
    search_fields = ("user__email", "user__name", "team__name")
    search_help_text = _lazy("The person's e-mail or name, or the team's name.")
    sortable_by = ()
    ordering = ("-id",)
    fields = ("team", "user", "since", "until", "records_from", "told_by")
    readonly_fields = ("team", "user", "told_by")
    actions = ("end_now", "show_earlier")

    def get_fieldsets(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        about = _TOLD if obj is not None and obj.told_by_id else _EARLIER
        return ((None, {"fields": self.fields, "description": about}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        """When somebody joined is the gateway's to tell, where it told of them."""
        return (*self.readonly_fields, "since") if obj and obj.told_by_id else self.readonly_fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        """One that a gateway told of would come back; nor are several deleted at once."""
        return obj is not None and obj.told_by_id is None and self.has_change_permission(request, obj)

    def audit_subject(self, obj: Membership) -> User | None:
        return obj.user

    @admin.action(description=_lazy("End selected memberships now"), permissions=["change"])
    def end_now(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        """Who has left already stays as they are."""
        now = timezone.now()
        ended = 0
        for row in queryset.filter(until=None, since__lt=now):
            row.until = now
            row.save(update_fields=["until"])
            self.log_change(request, row, [{"changed": {"fields": ["until"]}}])
            ended += 1
        sentence = ngettext("%(count)d membership ended.", "%(count)d memberships ended.", ended)
        messages.success(request, sentence % {"count": ended})

    @admin.action(description=_lazy("Let leads see all their earlier records"), permissions=["change"])
    def show_earlier(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        """From the oldest month on of which records are kept."""
        oldest = Month.of(timezone.now()).plus(-settings.RECORD_RETENTION_MONTHS).start
        shown = 0
        for row in queryset:
            row.records_from = min(oldest, row.begins)
            row.save(update_fields=["records_from"])
            self.log_change(request, row, [{"changed": {"fields": ["records_from"]}}])
            shown += 1
        sentence = ngettext(
            "Leads now see all records of %(count)d member.",
            "Leads now see all records of %(count)d members.",
            shown,
        )
        messages.success(request, sentence % {"count": shown})
