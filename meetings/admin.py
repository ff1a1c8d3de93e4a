"""Meetings and the people in them, to look at: a provider wrote these rows, staff do not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.safestring import SafeString

from meetings import dossier
from meetings.models import Capture, Consent, ConsentText, Meeting, Participant, ParticipantSession
from platforms.filters import emptiness, titled
from platforms.moments import NOTHING, when
from rooms.models import Room
from rooms.staff.again import RunAgain
from rooms.staff.display import length, page_of, person, platform_badge, work_badge
from rooms.staff.pages import ReadOnlyAdmin, Section, Table


@admin.register(Meeting)
class MeetingAdmin(ReadOnlyAdmin):
    list_display = ("opened", "the_room", "on", "state", "people", "lasted", "end_reason")
    list_display_links = ("opened",)
    list_select_related = ("room",)
    list_filter = ("platform", "status", ("end_reason", titled("reason of the end")), ("created_at", titled("date")))
    date_hierarchy = "created_at"
    search_fields = (
        "id",
        "room__name",
        "room__slug",
        "^provider_room_name",
        "^provider_room_id",
        "participants__name",
        "participants__user__username",
        "participants__user__email",
        "^sessions__session_id",
        "^captures__provider_recording_id",
        "^recordings__provider_recording_id",
    )
    search_help_text = "Room, person, e-mail, our id, or a provider’s: room name, session, recording."
    linked = {"room__id__exact": Room}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Meeting]:
        people = (
            Participant.objects.filter(meeting=OuterRef("pk"), is_person=True)
            .order_by()
            .values("meeting")
            .annotate(count=Count("pk"))
            .values("count")
        )
        counted = Coalesce(Subquery(people, output_field=IntegerField()), 0)
        around = ("room", "ended_by", "fell_back_from__room", "fell_back_to__room")
        return super().get_queryset(request).select_related(*around).annotate(people_count=counted).defer("host_url")

    @admin.display(description="opened", ordering="created_at")
    def opened(self, meeting: Meeting) -> str | SafeString:
        return when(meeting.created_at)

    @admin.display(description="room", ordering="room__name")
    def the_room(self, meeting: Meeting) -> str | SafeString:
        return page_of(meeting.room)

    @admin.display(description="platform", ordering="platform")
    def on(self, meeting: Meeting) -> SafeString:
        return platform_badge(meeting.platform)

    @admin.display(description="state", ordering="status")
    def state(self, meeting: Meeting) -> SafeString:
        return dossier.meeting_badge(meeting)

    @admin.display(description="people", ordering="people_count")
    def people(self, meeting: Any) -> int:
        return int(meeting.people_count)

    @admin.display(description="lasted")
    def lasted(self, meeting: Meeting) -> str:
        return dossier.lasted(meeting)

    def sections(self, request: HttpRequest, row: Meeting) -> list[Section]:
        return dossier.of_meeting(row)


class OfMeeting(ReadOnlyAdmin):
    """Rows that hang on a meeting: where they belong, in two columns."""

    @admin.display(description="meeting", ordering="meeting__created_at")
    def the_meeting(self, row: Any) -> str | SafeString:
        return page_of(row.meeting, when(row.meeting.created_at))

    @admin.display(description="room", ordering="meeting__room__name")
    def the_room(self, row: Any) -> str | SafeString:
        return page_of(row.meeting.room)


@admin.register(Participant)
class ParticipantAdmin(OfMeeting):
    ordering = ("-created_at", "-pk")
    list_display = ("__str__", "the_room", "the_meeting", "on", "account", "answered", "stays", "in_all")
    list_select_related = ("meeting__room", "user")
    list_filter = (
        "platform",
        ("answer", titled("answer on recording")),
        ("is_host", titled("host")),
        ("is_person", titled("person, not a machine")),
        ("came_by_page", titled("our page as the way in")),
    )
    date_hierarchy = "created_at"
    search_fields = (
        "id",
        "name",
        "user__username",
        "user__email",
        "^provider_user_id",
        "^sessions__session_id",
        "meeting__id",
        "^meeting__provider_room_name",
        "meeting__room__name",
        "meeting__room__slug",
    )
    search_help_text = "Name, e-mail, room, or an id: person, session, meeting, provider’s room."
    linked = {"meeting__id__exact": Meeting, "meeting__room__id__exact": Room}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Participant]:
        return super().get_queryset(request).defer("receipt_token", "meeting__host_url").prefetch_related("sessions")

    @admin.display(description="platform", ordering="platform")
    def on(self, participant: Participant) -> SafeString:
        return platform_badge(participant.platform)

    @admin.display(description="account", ordering="user__username")
    def account(self, participant: Participant) -> str:
        return person(participant.user) if participant.user else "guest"

    @admin.display(description="recording", ordering="answer")
    def answered(self, participant: Participant) -> SafeString:
        return dossier.answer_badge(participant)

    @admin.display(description="stays")
    def stays(self, participant: Participant) -> int:
        return len(participant.sessions.all())

    @admin.display(description="in all")
    def in_all(self, participant: Participant) -> str:
        stays = participant.sessions.all()
        return length(dossier.together_s(stays)) if stays else NOTHING

    def sections(self, request: HttpRequest, row: Participant) -> list[Section]:
        return dossier.of_participant(row)


@admin.register(ParticipantSession)
class ParticipantSessionAdmin(OfMeeting):
    ordering = ("-joined_at", "-pk")
    list_display = ("who", "the_room", "the_meeting", "joined", "left", "how_long")
    list_display_links = ("joined",)
    list_select_related = ("participant", "meeting__room")
    list_filter = ("meeting__platform", ("left_at", emptiness("stay", empty="Still inside", filled="Left")))
    date_hierarchy = "joined_at"
    search_fields = ("^session_id", "participant__name", "^meeting__provider_room_name", "meeting__room__name")
    linked = {"meeting__id__exact": Meeting, "meeting__room__id__exact": Room}

    @admin.display(description="who", ordering="participant__name")
    def who(self, stay: ParticipantSession) -> str | SafeString:
        return page_of(stay.participant)

    @admin.display(description="joined", ordering="joined_at")
    def joined(self, stay: ParticipantSession) -> str | SafeString:
        return when(stay.joined_at) if stay.joined_at else "unknown"

    @admin.display(description="left", ordering="left_at")
    def left(self, stay: ParticipantSession) -> str | SafeString:
        return when(stay.left_at) if stay.left_at else "inside now"

    @admin.display(description="how long")
    def how_long(self, stay: ParticipantSession) -> str:
        return length(dossier.stay_s(stay))

    def sections(self, request: HttpRequest, row: ParticipantSession) -> list[Section]:
        facts = [
            ("Who", page_of(row.participant)),
            ("Meeting", page_of(row.meeting)),
            ("Room", page_of(row.meeting.room)),
            ("Joined", when(row.joined_at)),
            ("Join last reported", when(row.last_joined_at)),
            ("Last seen by presence", when(row.last_seen_at)),
            ("Not seen any more since", when(row.presumed_left_at)),
            ("Leave reported", when(row.reported_left_at)),
            ("Left", when(row.left_at) if row.left_at else "inside now"),
            ("How long", length(dossier.stay_s(row))),
            ("Session", row.session_id),
        ]
        return [Section(title="The stay", facts=facts)]


@admin.register(Consent)
class ConsentAdmin(ReadOnlyAdmin):
    ordering = ("-answered_at", "-pk")
    list_display = ("answered", "who", "the_meeting", "answer_given", "policy", "words")
    list_display_links = ("answered",)
    list_select_related = ("participant__meeting__room", "text")
    list_filter = ("answer", "policy")
    date_hierarchy = "answered_at"
    search_fields = ("participant__name", "participant__meeting__room__name", "text__sha256")
    linked = {"participant__meeting__id__exact": Meeting, "text__id__exact": ConsentText}

    @admin.display(description="when", ordering="answered_at")
    def answered(self, consent: Consent) -> str | SafeString:
        return when(consent.answered_at)

    @admin.display(description="who", ordering="participant__name")
    def who(self, consent: Consent) -> str | SafeString:
        return page_of(consent.participant)

    @admin.display(description="meeting")
    def the_meeting(self, consent: Consent) -> str | SafeString:
        return page_of(consent.participant.meeting)

    @admin.display(description="answer", ordering="answer")
    def answer_given(self, consent: Consent) -> SafeString:
        return dossier.answer_badge(consent)

    @admin.display(description="words shown", ordering="text")
    def words(self, consent: Consent) -> str | SafeString:
        return page_of(consent.text)

    def sections(self, request: HttpRequest, row: Consent) -> list[Section]:
        facts = [
            ("Who", page_of(row.participant)),
            ("Meeting", page_of(row.participant.meeting)),
            ("Answer", dossier.answer_badge(row)),
            ("When", when(row.answered_at)),
            ("For", row.scope),
            ("The room’s policy then", row.policy),
            ("Words", page_of(row.text)),
            ("SHA-256 of the words", row.text.sha256),
        ]
        return [
            Section(title="The answer", facts=facts),
            Section(title="The words that were shown", text=row.text.body),
        ]


@admin.register(ConsentText)
class ConsentTextAdmin(ReadOnlyAdmin):
    ordering = ("-pk",)
    list_display = ("__str__", "language", "since", "answers")
    list_filter = ("language",)
    search_fields = ("sha256", "body")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConsentText]:
        return super().get_queryset(request).annotate(answer_count=Count("consent"))

    @admin.display(description="first shown", ordering="created_at")
    def since(self, text: ConsentText) -> str | SafeString:
        return when(text.created_at)

    @admin.display(description="answers to it", ordering="answer_count")
    def answers(self, text: Any) -> int:
        return int(text.answer_count)

    def sections(self, request: HttpRequest, row: ConsentText) -> list[Section]:
        facts = [("Language", row.language), ("First shown", when(row.created_at)), ("SHA-256", row.sha256)]
        given = Consent.objects.filter(text=row).values_list("answer").annotate(Count("pk")).order_by("answer")
        labels = dict(Participant.Answer.choices)
        table = Table(headers=["Answer", "How often"], rows=[[labels.get(answer, answer), n] for answer, n in given])
        return [
            Section(title="This version", facts=facts),
            Section(title="The words", text=row.body),
            Section(title="Answers", table=table),
        ]


@admin.register(Capture)
class CaptureAdmin(RunAgain, OfMeeting):
    ordering = ("-wanted_at", "-pk")
    list_display = ("wanted", "the_room", "the_meeting", "state_now", "order", "why", "error")
    list_display_links = ("wanted",)
    list_select_related = ("meeting__room",)
    list_filter = ("state", "status", "meeting__platform")
    date_hierarchy = "wanted_at"
    search_fields = (
        "id",
        "^provider_recording_id",
        "meeting__id",
        "^meeting__provider_room_name",
        "meeting__room__name",
    )
    linked = {"meeting__id__exact": Meeting, "meeting__room__id__exact": Room}
    again_words = "Try again"
    actions = ("run_selected_again",)

    def get_urls(self) -> list[URLPattern]:
        return [self.again_url(), *super().get_urls()]

    @admin.display(description="asked for", ordering="wanted_at")
    def wanted(self, capture: Capture) -> str | SafeString:
        return when(capture.wanted_at)

    @admin.display(description="recording", ordering="state")
    def state_now(self, capture: Capture) -> SafeString:
        return dossier.capture_badge(capture)

    @admin.display(description="reason", ordering="reason")
    def why(self, capture: Capture) -> str:
        return dossier.why(capture)

    @admin.display(description="order", ordering="status")
    def order(self, capture: Capture) -> SafeString:
        return work_badge(capture)

    def may_run_again(self, row: Capture) -> bool:
        return row.status == Capture.Status.QUARANTINED

    def sections(self, request: HttpRequest, row: Capture) -> list[Section]:
        return dossier.of_capture(row, may_act=self.has_again_permission(request))
