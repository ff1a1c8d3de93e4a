"""Daily's REST API, one method per call. https://docs.daily.co/reference/rest-api"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from platforms.base import PlatformRefused, PlatformUnavailable
from platforms.http import Budgets, Http
from platforms.text import mapping, sequence, text

API_URL = "https://api.daily.co/v1"
PAGE = 100  #: default and maximum of Daily's lists
#: https://docs.daily.co/reference/rest-api#rate-limits: 20 a second or 100 in five; 2 or 50 in thirty; 1 or 5 in five.
#: These keep both of each pair.
BUDGETS: Budgets = {
    "default": (20, 1),
    "delete_room": (2, 1.2),
    "list_recordings": (2, 1.2),
    "start_recording": (1, 1),
}


class DailyClient:
    def __init__(self, http: Http) -> None:
        self.http = http

    def domain(self) -> Mapping[str, Any]:
        """The domain's own configuration: ``domain_name``, ``config``."""
        return mapping(self.http.request("GET", "/", operation="domain").body)

    # rooms
    def create_room(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return mapping(self.http.request("POST", "/rooms", operation="create_room", json=body).body)

    def room(self, name: str) -> Mapping[str, Any] | None:
        answer = self.http.request("GET", f"/rooms/{quote(name, safe='')}", operation="get_room", accept=(404,))
        return None if answer.status == 404 else mapping(answer.body)

    def delete_room(self, name: str) -> None:
        self.http.request("DELETE", f"/rooms/{quote(name, safe='')}", operation="delete_room", accept=(404,))

    def meeting_token(self, properties: Mapping[str, Any]) -> str:
        answer = self.http.request("POST", "/meeting-tokens", operation="token", json={"properties": properties})
        token = text(mapping(answer.body).get("token"), 4000)
        if not token:
            raise PlatformUnavailable("Daily answered without a token")
        return token

    def presence(self) -> Mapping[str, Any]:
        """Everybody in every room of the domain, keyed by room name. Up to 15 s behind."""
        body = self.http.request("GET", "/presence", operation="presence").body
        if not isinstance(body, dict):
            raise PlatformUnavailable("Daily's presence answer has an unknown shape")
        return body

    def meetings(self, room_name: str) -> Iterator[Mapping[str, Any]]:
        """The call sessions that there were in a room, newest first, each with its ``participants``. 15 s behind."""
        after = ""
        while True:
            params = {"room": room_name, "limit": PAGE, "starting_after": after}
            answer = self.http.request(
                "GET", "/meetings", operation="list_meetings", params={k: v for k, v in params.items() if v}
            )
            rows = [mapping(row) for row in sequence(mapping(answer.body).get("data"))]
            yield from rows
            before, after = after, text(rows[-1].get("id")) if rows else ""
            if len(rows) < PAGE or after in ("", before):
                return

    # recordings
    def start_recording(self, room_name: str, body: Mapping[str, Any]) -> None:
        """404 means that the call is not registered yet, 400 "active stream" that this instance records already."""
        try:
            self.http.request(
                "POST",
                f"/rooms/{quote(room_name, safe='')}/recordings/start",
                operation="start_recording",
                json=body,
            )
        except PlatformRefused as refused:
            if refused.status == 404:
                raise PlatformUnavailable(
                    "Daily is not hosting a call in this room yet", retry_after_s=2.0
                ) from refused
            if refused.status == 400 and "has an active stream" in str(refused):
                return
            raise

    def stop_recording(self, room_name: str, body: Mapping[str, Any]) -> None:
        """400 (nothing records) and 404 (no call, no room) mean that it is stopped already."""
        self.http.request(
            "POST",
            f"/rooms/{quote(room_name, safe='')}/recordings/stop",
            operation="stop_recording",
            json=body,
            accept=(400, 404),
        )

    def recordings(self, *, starting_after: str = "", room_name: str = "", limit: int = PAGE) -> list[Any]:
        params = {"limit": limit, "starting_after": starting_after, "room_name": room_name}
        answer = self.http.request(
            "GET", "/recordings", operation="list_recordings", params={k: v for k, v in params.items() if v}
        )
        return sequence(mapping(answer.body).get("data"))

    def recording(self, recording_id: str) -> Mapping[str, Any] | None:
        answer = self.http.request(
            "GET", f"/recordings/{quote(recording_id, safe='')}", operation="get_recording", accept=(404,)
        )
        return None if answer.status == 404 else mapping(answer.body)

    def access_link(self, recording_id: str) -> str:
        answer = self.http.request(
            "GET",
            f"/recordings/{quote(recording_id, safe='')}/access-link",
            operation="access_link",
            params={"valid_for_secs": 3600},
        )
        link = mapping(answer.body).get("download_link")
        if not isinstance(link, str) or not link:
            raise PlatformUnavailable("Daily answered without a download link")
        return link

    def delete_recording(self, recording_id: str) -> None:
        self.http.request(
            "DELETE", f"/recordings/{quote(recording_id, safe='')}", operation="delete_recording", accept=(404,)
        )

    # webhooks: one per domain; updating one sends the verification request again and re-activates it
    def webhooks(self) -> list[Mapping[str, Any]]:
        body = self.http.request("GET", "/webhooks", operation="webhooks").body
        return [mapping(item) for item in sequence(body)]

    def create_webhook(self, body: Mapping[str, Any]) -> None:
        self.http.request("POST", "/webhooks", operation="create_webhook", json=body)

    def update_webhook(self, uuid: str, body: Mapping[str, Any]) -> None:
        self.http.request("POST", f"/webhooks/{quote(uuid, safe='')}", operation="update_webhook", json=body)
