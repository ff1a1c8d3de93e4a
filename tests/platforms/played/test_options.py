"""Every option of a room at the place where the provider obeys it: its room, the person's token, the person's link."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from meetings.entering import entry_for
from meetings.models import Participant
from platforms.sandbox.calls import Refused
from tests.factories import make_room, make_user
from tests.meetings.visitors import come_in
from tests.platforms.played.conftest import BEGIN, Played

#: as different from the defaults of the room and of both providers as can be
CHANGED = {
    "is_locked": True,
    "mode": "normal",
    "enable_knocking": False,
    "enable_chat": False,
    "enable_screen_share": False,
    "camera_on": False,
    "microphone_on": False,
    "language": "de",
    "max_participants": 12,
    "recording_type": "cloud",
    "recording_trigger": "automatic-2nd-participant",
    "consent_policy": "not_asked",
}
DEFAULT = {"recording_type": "none", "recording_trigger": "none"}


def entered(played: Played, platform: str, **options: Any) -> Participant:
    room = make_room(platform=platform, is_shared=True, owner=make_user(), **options)
    return come_in(Client(), room, answer="")


def ends_at(participant: Participant) -> datetime:
    moment = participant.meeting.expires_at
    assert moment is not None
    return moment


def as_host(participant: Participant) -> Participant:
    participant.is_host = True
    participant.save()
    return participant


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_daily_room_and_token(played: Played) -> None:
    participant = entered(played, "daily", **CHANGED)
    meeting, room = participant.meeting, played.room(participant.meeting)
    assert room is not None
    assert re.fullmatch(rf"{meeting.room.slug}-[0-9a-f]{{32}}", room["name"])
    assert room["privacy"] == "private"
    end = int((ends_at(participant) + timedelta(hours=1)).timestamp())
    assert room["config"] == {
        "exp": end,
        "eject_at_room_exp": True,
        "enable_knocking": False,
        "enable_prejoin_ui": False,
        "enable_chat": False,
        "enable_screenshare": False,
        "start_video_off": True,
        "start_audio_off": True,
        "lang": "de",
        "max_participants": 12,
        "enable_recording": "cloud",
        "recordings_bucket": {
            "bucket_name": "sandbox-daily",
            "bucket_region": "us-west-2",
            "assume_role_arn": "arn:aws:iam::000000000000:role/sandbox-daily",
            "allow_api_access": True,
        },
        "recordings_template": "{domain_name}/{room_name}/{epoch_time}",
    }
    claims = played.sandbox.daily.read_token(str(entry_for(participant=participant).page["token"]))
    assert claims is not None
    assert claims.pop("iat") >= int(BEGIN.timestamp())
    assert claims == {
        "room_name": room["name"],
        "user_id": participant.provider_user_id,
        "user_name": "Gil Guest",
        "is_owner": False,
        "exp": int(ends_at(participant).timestamp()),
        "enable_screenshare": False,
        "start_video_off": True,
        "start_audio_off": True,
        "enable_prejoin_ui": False,
        "enable_recording_ui": False,
        "lang": "de",
        "knocking": True,
        "d": played.sandbox.config.secrets["daily_domain_id"],
    }
    host = played.sandbox.daily.read_token(str(entry_for(participant=as_host(participant)).page["token"]))
    assert host is not None
    assert (host["is_owner"], host.get("knocking")) == (True, None)


def test_daily_defaults_that_are_not_ours_are_said(played: Played) -> None:
    """Chat is off there unless asked for; everything else that people expect is asked for too."""
    participant = entered(played, "daily", **DEFAULT)
    room = played.room(participant.meeting)
    assert room is not None
    wanted = {"enable_chat": True, "enable_knocking": True, "enable_screenshare": True}
    wanted |= {"start_video_off": False, "start_audio_off": False}
    assert {name: room["config"][name] for name in wanted} == wanted
    assert "enable_recording" not in room["config"]
    claims = played.sandbox.daily.read_token(str(entry_for(participant=participant).page["token"]))
    assert claims is not None
    assert (claims.get("knocking"), claims["enable_screenshare"], claims["start_video_off"]) == (None, True, False)


def test_whereby_room_and_link(played: Played) -> None:
    participant = entered(played, "whereby", **CHANGED)
    room = played.room(participant.meeting)
    assert room is not None
    assert re.fullmatch(r"/[a-z0-9]{1,39}[0-9a-f-]{36}", room["name"])
    assert (room["locked"], room["mode"]) == (True, "normal")
    assert room["ends_at"] == int(ends_at(participant).timestamp() * 1000) / 1000  # and it closes an hour after that
    secrets = played.sandbox.config.secrets
    assert room["recording"] == {
        "type": "cloud",
        "destination": {
            "provider": "s3",
            "authenticationType": "accessKey",
            "bucket": "sandbox-whereby",
            "accessKeyId": secrets["s3_key_id"],
            "accessKeySecret": secrets["s3_secret"],
            "fileFormat": "mp4",
        },
        "startTrigger": "automatic-2nd-participant",
    }
    said = {
        "displayName": "Gil Guest",
        "externalId": participant.provider_user_id,
        "lang": "de",
        "audio": "off",
        "video": "off",
        "screenshare": "off",
        "precallReview": "off",
        "skipMediaPermissionPrompt": "on",
        "recording": "off",
    }
    entry = entry_for(participant=participant)
    assert entry.page["attributes"] == said
    assert query_of(entry.frame_url) == said | {"chat": "off"}
    assert query_of(str(entry.page["room"])) == {"chat": "off"}
    host = entry_for(participant=as_host(participant))
    assert query_of(str(host.page["room"])) == {"roomKey": played.sandbox.whereby.room_key(room), "chat": "off"}


def test_whereby_records_by_itself_only_where_nobody_is_asked(played: Played) -> None:
    participant = entered(played, "whereby", **CHANGED | {"recording_trigger": "none"})
    room = played.room(participant.meeting)
    assert room is not None
    assert (room["recording"]["type"], room["recording"]["startTrigger"]) == ("cloud", "none")


@pytest.mark.parametrize("platform", ["daily", "whereby"])
def test_expired_room_cannot_be_entered(played: Played, platform: str) -> None:
    """Should nothing of ours be running any more, the provider ends the room an hour after we would have."""
    participant = entered(played, platform, **DEFAULT)
    left = ends_at(participant) - BEGIN + timedelta(hours=1)
    played.machine.shift(left - timedelta(seconds=1))
    assert played.room(participant.meeting) is not None
    played.machine.shift(2)
    assert played.room(participant.meeting) is None


def test_locked_room_without_a_lobby_refuses_who_is_not_on_the_list(played: Played) -> None:
    participant = entered(played, "daily", **DEFAULT, is_locked=True, enable_knocking=False)
    room = played.room(participant.meeting)
    assert room is not None
    token = entry_for(participant=participant).page["token"]
    with pytest.raises(Refused, match="not allowed to join"):
        played.sandbox.calls.join(room, {"token": token})
