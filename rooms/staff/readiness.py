"""The admin's pages of readiness: every check of a platform with its evidence, and waivers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django import forms
from django.contrib import admin, messages
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from platforms import readiness
from platforms.base import Adapter
from platforms.models import ReadinessResult
from platforms.moments import ago, when
from rooms.models import Waiver, Wave
from rooms.readiness import LONGEST, WaiverRefused, active_waivers, blockers_among, forgotten_since, waive, withdraw
from rooms.staff.display import link, list_at, person, platform_badge, status_badge
from rooms.staff.pages import Button, ReadOnlyAdmin, Section
from rooms.staff.platform_pages import adapter_of, evidence, page
from rooms.waves.reading import HOLDING_ROOMS

LOOK = "rooms.view_room"
CHECK = "rooms.change_room"
WAIVE = "rooms.add_waiver"
URGENCY = {"failed": "bad", "unproven": "busy", "ok": "good", "not_applicable": "off"}


class WaiverForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text="Stands beside the check while it is waived.",
    )
    days = forms.IntegerField(
        label="For how many days",
        min_value=1,
        max_value=LONGEST.days,
        initial=7,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
        help_text=f"At most {LONGEST.days}. You can withdraw it at any time.",
    )


def may(request: HttpRequest, right: str) -> bool:
    return bool(request.user.has_perm(right))


# -- one platform


def readiness_page(request: HttpRequest, slug: str) -> HttpResponse:
    if not may(request, LOOK):
        raise PermissionDenied
    adapter = adapter_of(slug)
    now = timezone.now()
    rows = list(ReadinessResult.objects.filter(platform=slug))
    waivers = {waiver.check_key: waiver for waiver in active_waivers(slug, now=now).select_related("actor")}
    return page(
        request,
        adapter,
        "platform-readiness",
        [_verdict(request, adapter, rows, now, waivers), _checks(request, rows, waivers, _named(slug))],
    )


def _named(slug: str) -> set[str]:
    """Checks that a wave to this platform, which is not over, wants to have passed besides the blocking ones."""
    waves = Wave.objects.filter(platform=slug, status__in=(Wave.Status.DRAFT, *HOLDING_ROOMS))
    return {key for keys in waves.values_list("required_checks", flat=True) for key in keys}


def _verdict(
    request: HttpRequest, adapter: Adapter, rows: list[ReadinessResult], now: datetime, waivers: Collection[str]
) -> Section:
    looked = max((row.checked_at for row in rows), default=None)
    waived = {(adapter.slug, key) for key in waivers}
    facts = [("May rooms be moved here?", verdict(adapter, rows, now, waived)), ("Last checked", when(looked))]
    button = Button(url=reverse("platform-check", args=[adapter.slug]), text="Check now")
    return Section(
        title="Readiness",
        facts=facts,
        note="Checked every ten minutes. A failed check that stops moves can be waived, with a reason and for a time.",
        buttons=[button] if may(request, CHECK) and adapter.configured else [],
        links=[list_at("rooms.waiver", "All waivers", platform__exact=adapter.slug)],
    )


def verdict(
    adapter: Adapter, rows: list[ReadinessResult], now: datetime, waived: Collection[tuple[str, str]]
) -> SafeString:
    """In a word, what ``blockers`` comes to. ``waived``: (platform, key) pairs."""
    if not adapter.configured:
        return status_badge("no: not configured", "off")
    if not rows:
        return status_badge("yes: never checked", "busy")
    stopping = blockers_among(rows, waived, now=now)
    if stopping:
        return status_badge(f"no: {len(stopping)} failed check{'s' if len(stopping) > 1 else ''}", "bad")
    if since := forgotten_since(rows, now):
        return status_badge(f"yes: last checked {ago(since)}", "busy")
    failed = sum(row.status == "failed" and row.is_blocking for row in rows)
    unproven = sum(row.status == "unproven" for row in rows)
    if failed:
        return status_badge(f"yes: {failed} failed check{'s' if failed > 1 else ''} waived", "busy")
    return status_badge(f"yes: {unproven} unproven" if unproven else "yes: all checks ok", "good")


def _checks(request: HttpRequest, rows: list[ReadinessResult], waivers: dict[str, Waiver], named: set[str]) -> Section:
    """What fails first, then what is unproven."""
    checks = [
        {
            "row": row,
            "state": _state(row, waivers.get(row.key), named),
            "found": _found(row),
            "evidence": evidence(row.evidence),
            "checked": naturaltime(row.checked_at),
            "since": when(row.since),
            "waiver": _waiving(request, row, waivers.get(row.key), named),
        }
        for row in sorted(rows, key=lambda row: list(URGENCY).index(row.status))
    ]
    return Section(title="Checks", template="admin/rooms/platform/_checks.html", extra={"checks": checks})


def _stops_waves(row: ReadinessResult, named: set[str]) -> bool:
    """As ``rooms.readiness`` does: what a wave names has to be proven."""
    return row.key in named and row.status in ("failed", "unproven")


def _state(row: ReadinessResult, waiver: Waiver | None, named: set[str]) -> SafeString:
    badge = status_badge(row.get_status_display(), URGENCY[row.status])
    stops_all, stops_waves = row.status == "failed" and row.is_blocking, _stops_waves(row, named)
    if row.status != "failed" and not stops_waves:
        return badge
    stops = "stops moves" if stops_all else "stops a wave that names it" if stops_waves else "stops no moves"
    words = "waived" if waiver else stops
    return format_html("{} <span class=ago>{}</span>", badge, words)


def _found(row: ReadinessResult) -> SafeString:
    said = format_html("{}", _sentence(row.words))
    if row.why and row.status != "ok":
        said = format_html("{} <span class=ago>{}</span>", said, _sentence(row.why))
    if row.fix and row.status != "ok":
        said = format_html("{}<br><strong>What to do:</strong> {}", said, row.fix)
    return said


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _waiving(request: HttpRequest, row: ReadinessResult, waiver: Waiver | None, named: set[str]) -> str | SafeString:
    if waiver is not None:
        said = format_html("Waived by {} until {}: {}", person(waiver.actor), when(waiver.expires_at), waiver.reason)
        return format_html("{} – {}", said, link(_page_of(waiver), "withdraw…"))
    stops = (row.status == "failed" and row.is_blocking) or _stops_waves(row, named)
    if stops and may(request, WAIVE):
        address = reverse("platform-waive", args=[row.platform, row.key])
        return format_html('<a href="{}" aria-label="Waive “{}”…">Waive…</a>', address, row.title)
    return ""


def _page_of(waiver: Waiver) -> str:
    return reverse("admin:rooms_waiver_change", args=[waiver.pk])


def check_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The button: asks everything while the browser waits, some seconds."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not may(request, CHECK):
        raise PermissionDenied
    adapter = adapter_of(slug)
    if not adapter.configured:
        raise Http404("not configured")
    rows = readiness.check(adapter)
    failed = sum(row.status == ReadinessResult.Status.FAILED for row in rows)
    report = f"{len(rows)} checks of {adapter.label}: {failed or 'none'} failed."
    messages.add_message(request, messages.WARNING if failed else messages.SUCCESS, report)
    return HttpResponseRedirect(reverse("platform-readiness", args=[slug]))


def waive_page(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    if not may(request, WAIVE):
        raise PermissionDenied
    adapter = adapter_of(slug)
    row = get_object_or_404(ReadinessResult, platform=slug, key=key)
    form = WaiverForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        now = timezone.now()
        until = now + timedelta(days=form.cleaned_data["days"])
        try:
            given = waive(
                platform=slug, key=key, reason=form.cleaned_data["reason"], until=until, actor=request.user, now=now
            )
        except WaiverRefused as refusal:
            form.add_error("reason", str(refusal))
        else:
            admin.site._registry[Waiver].log_addition(request, given, f"{row.title}: {given.reason}")
            messages.success(request, f"“{row.title}” does not stop moves to {adapter.label} until {_day(until)}.")
            return HttpResponseRedirect(reverse("platform-readiness", args=[slug]))
    context = {
        **admin.site.each_context(request),
        "title": f"Waive “{row.title}” on {adapter.label}",
        "adapter": adapter,
        "row": row,
        "found": _found(row),
        "form": form,
        "back": reverse("platform-readiness", args=[slug]),
    }
    return TemplateResponse(request, "admin/rooms/platform/waive.html", context, status=400 if form.errors else 200)


def _day(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{local.day} {local:%B %H:%M %Z}"


# -- waivers


@admin.register(Waiver)
class WaiverAdmin(ReadOnlyAdmin):
    list_display = ("what", "where", "state", "reason", "who", "given", "ends")
    list_display_links = ("what",)
    list_select_related = ("actor",)
    list_filter = ("platform",)
    search_fields = ("check_key", "reason", "actor__username")

    @admin.display(description="check", ordering="check_key")
    def what(self, waiver: Waiver) -> str:
        return waiver.check_key

    @admin.display(description="platform", ordering="platform")
    def where(self, waiver: Waiver) -> SafeString:
        return platform_badge(waiver.platform)

    @admin.display(description="state")
    def state(self, waiver: Waiver) -> SafeString:
        if waiver.withdrawn_at is not None:
            return status_badge("withdrawn", "off")
        return status_badge("in force", "live") if _in_force(waiver) else status_badge("expired", "off")

    @admin.display(description="who")
    def who(self, waiver: Waiver) -> str:
        return person(waiver.actor)

    @admin.display(description="given", ordering="created_at")
    def given(self, waiver: Waiver) -> str | SafeString:
        return when(waiver.created_at)

    @admin.display(description="ends", ordering="expires_at")
    def ends(self, waiver: Waiver) -> str | SafeString:
        return when(waiver.expires_at)

    def sections(self, request: HttpRequest, row: Waiver) -> list[Section]:
        button = Button(url=reverse("admin:rooms_waiver_withdraw", args=[row.pk]), text="Withdraw this waiver")
        facts = [
            ("Check", row.check_key),
            ("Platform", platform_badge(row.platform)),
            ("State", self.state(row)),
            ("Reason", row.reason),
            ("Who", person(row.actor)),
            ("Given", when(row.created_at)),
            ("Ends", when(row.expires_at)),
            ("Withdrawn", when(row.withdrawn_at)),
        ]
        return [
            Section(
                title="The waiver",
                facts=facts,
                links=[link(reverse("platform-readiness", args=[row.platform]), "Readiness of the platform")],
                buttons=[button] if _in_force(row) and may(request, WAIVE) else [],
            )
        ]

    def get_urls(self) -> list[URLPattern]:
        own = path("<int:pk>/withdraw/", self.admin_site.admin_view(self.withdraw), name="rooms_waiver_withdraw")
        return [own, *super().get_urls()]

    def withdraw(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not may(request, WAIVE):
            raise PermissionDenied
        waiver = get_object_or_404(Waiver, pk=pk)
        if withdraw(waiver):
            self.log_change(request, waiver, "Withdrawn")
            messages.success(request, "The waiver is withdrawn; the check stops moves again while it fails.")
        else:
            messages.warning(request, "This waiver had ended already.")
        return HttpResponseRedirect(reverse("platform-readiness", args=[waiver.platform]))


def _in_force(waiver: Waiver) -> bool:
    return waiver.withdrawn_at is None and waiver.expires_at > timezone.now()
