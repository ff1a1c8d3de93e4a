"""Who agreed to what, in which words, and whether a recording of everybody may run."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.utils import timezone

from meetings.models import Consent, ConsentText, Meeting, Participant, ParticipantSession
from meetings.signals import consent_withdrawn
from platforms import registry
from rooms.models import Room

#: somebody whom our page lets in counts as if inside for this long, until the provider tells
ABOUT_TO_BE_IN = timedelta(minutes=1)

#: for whoever takes back a yes to what we can neither see nor delete
TELL_THE_HOST = "We can neither stop nor delete what a host records on their own computer: tell the host, or leave."

Policy = Room.ConsentPolicy
Answer = Participant.Answer


class ConsentNeeded(Exception):
    """The room's policy is *required* and the answer is not yes."""


def is_asked(subject: Meeting | Room) -> bool:
    """Whether people are asked before they enter: something is recorded and the policy says so."""
    return subject.recording_type != Room.RecordingType.NONE and subject.consent_policy != Policy.NOT_ASKED


def text_for(subject: Meeting | Room) -> str:
    """The exact words, three lines: the question, what yes means, what no means on this platform. Empty when nobody
    is asked."""
    if not is_asked(subject):
        return ""
    label = registry.get(subject.platform).label
    question = f"May this meeting on {label} be recorded and transcribed with you in it?"
    if subject.recording_type == Room.RecordingType.LOCAL:
        return _text_of_local(label, required=subject.consent_policy == Policy.REQUIRED)
    yes = "Yes: what you say and show can be recorded and turned into a transcript. You can take this back at any time."
    if subject.consent_policy == Policy.REQUIRED:
        no = "No: you cannot join, because this meeting may be recorded as one file with everybody in it."
    elif registry.get(subject.platform).capabilities.server_recording:
        no = (
            "No: you join all the same. The recording is one file with everybody in it, so it is stopped before you "
            "come in, and none is made while you are inside."
        )
    else:
        no = (
            "No: you join all the same. The recording is one file with everybody in it, so none is made while you are "
            "inside; if one is running, a host's page stops it first, and you may have to wait for that."
        )
    return f"{question}\n{yes}\n{no}"


def _text_of_local(label: str, *, required: bool) -> str:
    """We see nothing of a recording on somebody's computer, so the words promise nothing about it."""
    question = f"May a host of this meeting on {label} record it on their own computer with you in it?"
    yes = (
        "Yes: a host may record what you say and show. We neither start, stop nor keep such a recording. You can "
        "change your answer at any time; then tell the host."
    )
    if required:
        no = "No: you cannot join, because a host may record, and we can neither start nor stop that."
    else:
        no = (
            "No: you join all the same. A host may record even so, and we neither start, stop nor keep such a "
            "recording: tell the host that you do not agree. You may leave at any time."
        )
    return f"{question}\n{yes}\n{no}"


def recording_allowed(meeting: Meeting, *, now: datetime | None = None) -> tuple[bool, str]:
    """Whether a recording of everybody may run now, and if not why, in a sentence without names.

    Everybody inside or about to be let in has said yes; whoever came by the provider's own link was never asked.
    """
    if meeting.recording_type != Room.RecordingType.CLOUD:
        return False, "This room makes no cloud recordings."
    if meeting.consent_policy == Policy.NOT_ASKED:
        return True, ""
    missing = [*inside_or_entering(meeting, now=now or timezone.now()).exclude(answer=Answer.YES)]
    if not missing:
        return True, ""
    unasked = sum(not person.came_by_page for person in missing)
    if unasked == len(missing):
        return False, f"{_people(unasked)} came by a direct link and could not be asked about recording."
    return False, f"{_people(len(missing))} in the meeting did not agree to being recorded."


def inside_or_entering(meeting: Meeting, *, now: datetime) -> QuerySet[Participant]:
    """People inside, people whom our page is letting in right now, those of ours who knock, and those without a yes
    whose call page is open."""
    knocking = meeting.waiting.open().exclude(user_id="").values("user_id")
    return (
        Participant.objects.filter(meeting=meeting, is_person=True)
        .filter(
            Q(sessions__joined_at__isnull=False, sessions__left_at__isnull=True)
            | about_to_be_in(now)
            | Q(page_seen_at__gt=now - ABOUT_TO_BE_IN)
            | Q(provider_user_id__in=knocking)
        )
        .distinct()
    )


def about_to_be_in(now: datetime) -> Combinable:
    """Participants whom our page let in a moment ago and who have not come and gone since.

    The end of an earlier stay says nothing: when a page is loaded again, its old frame goes after it was answered.
    """
    stays = ParticipantSession.objects.filter(participant=OuterRef("pk"), left_at__isnull=False)
    gone_since = stays.filter(
        Q(joined_at__gte=OuterRef("entered_at")) | Q(last_joined_at__gte=OuterRef("entered_at")),
    )
    return Q(entered_at__gt=now - ABOUT_TO_BE_IN) & ~Exists(gone_since)


def answered_other_words(participant: Participant) -> bool:
    """Whether the words have changed since this person answered: an answer to others is no answer to these."""
    last = participant.consents.select_related("text").last()
    return last is not None and is_asked(participant.meeting) and last.text.body != text_for(participant.meeting)


def record_answer(participant: Participant, answer: str, *, now: datetime) -> bool:
    """Add a ``Consent`` row when the answer or the words are new. True when a yes was taken back.

    Call inside a transaction. Nothing is recorded where nobody is asked, and no answer is no row.
    """
    meeting = participant.meeting
    if answer == Answer.NONE or not is_asked(meeting):
        return False
    text = ConsentText.version_of(text_for(meeting))
    last = participant.consents.last()
    if last is None or (last.text_id, last.answer) != (text.pk, answer):
        Consent.objects.create(
            participant=participant, text=text, policy=meeting.consent_policy, answer=answer, answered_at=now
        )
    taken_back = participant.answer == Answer.YES and answer != Answer.YES
    if participant.answer != answer:
        participant.answer = answer
        participant.save(update_fields=["answer"])
    return taken_back


def withdraw(*, participant: Participant, now: datetime | None = None) -> None:
    """Take back what was agreed to, during the meeting or long after: a running recording of everybody is stopped,
    and the meeting's recordings are removed by whoever listens to ``consent_withdrawn``. Idempotent."""
    from meetings import capture  # capture asks this module whether it may

    now = now or timezone.now()
    with transaction.atomic():
        meeting = Meeting.objects.select_for_update(no_key=True).get(pk=participant.meeting_id)
        participant.refresh_from_db()
        agreed = participant.consents.filter(answer=Answer.YES).last()
        if agreed is None or participant.answer != Answer.YES:
            return  # nothing is agreed to that could be taken back
        Consent.objects.create(
            participant=participant,
            text=agreed.text,
            policy=meeting.consent_policy,
            answer=Answer.WITHDRAWN,
            answered_at=now,
        )
        participant.answer = Answer.WITHDRAWN
        participant.save(update_fields=["answer"])
        capture.reconcile(meeting, now=now)
        consent_withdrawn.send(sender=Meeting, meeting=meeting, participant=participant)


def _people(count: int) -> str:
    return "One person" if count == 1 else f"{count} people"
