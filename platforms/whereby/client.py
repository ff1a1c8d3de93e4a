"""Whereby's REST API, one method per call. https://docs.whereby.com/reference/whereby-rest-api-reference

The budget is one number of points per minute for the whole account: simple reads cost 1, lists and writes 3,
aggregations 5 to 10. Room names start with a slash here and nowhere else in this product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from platforms.base import PlatformUnavailable
from platforms.http import Budgets, Http
from platforms.text import mapping, sequence, text

API_URL = "https://api.whereby.dev/v1"
PAGE = 100
MAX_PAGES = 50
#: the smaller plan has 100 points a minute
BUDGETS: Budgets = {"default": (90, 60)}
READ, LIST, WRITE, AGGREGATE = 1, 3, 3, 5
#: points that background questions leave for those who are waiting for a room
RESERVE = 30
FIELDS = "hostRoomUrl"


class WherebyClient:
    def __init__(self, http: Http) -> None:
        self.http = http

    # meetings (their word for a room)
    def create_meeting(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return mapping(self.http.request("POST", "/meetings", operation="create_meeting", cost=WRITE, json=body).body)

    def meetings(self) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(MAX_PAGES):
            answer = mapping(
                self.http.request(
                    "GET",
                    "/meetings",
                    operation="list_meetings",
                    cost=LIST,
                    params=_filled({"limit": PAGE, "cursor": cursor, "fields": FIELDS}),
                ).body
            )
            yield from map(mapping, sequence(answer.get("results")))
            cursor = text(answer.get("cursor"), 2000)
            if not cursor:
                return

    def delete_meeting(self, meeting_id: str) -> None:
        self.http.request(
            "DELETE", f"/meetings/{quote(meeting_id, safe='')}", operation="delete_meeting", cost=WRITE, accept=(404,)
        )

    def set_logo(self, room_name: str, png: bytes) -> None:
        path = f"/rooms/{quote('/' + room_name, safe='')}/theme/logo"
        files = {"image": ("logo.png", png, "image/png")}
        self.http.request("PUT", path, operation="set_logo", cost=WRITE, files=files)

    def room_sessions(self, room_name: str) -> list[Mapping[str, Any]]:
        """Ten to fifteen minutes behind. Leaves points for others: ``PlatformUnavailable`` when few are left."""
        answer = self.http.request(
            "GET",
            "/insights/room-sessions",
            operation="room_sessions",
            cost=AGGREGATE,
            keep=RESERVE,
            params={"roomName": f"/{room_name}", "limit": PAGE},
        )
        return [mapping(item) for item in sequence(mapping(answer.body).get("results"))]

    # recordings
    def recordings(self, *, cursor: str = "", room_name: str = "") -> tuple[list[Any], str]:
        params = {
            "limit": PAGE,
            "cursor": cursor,
            "roomName": f"/{room_name}" if room_name else "",
            "sortBy": "startDate:desc",
        }
        answer = mapping(
            self.http.request("GET", "/recordings", operation="list_recordings", cost=LIST, params=_filled(params)).body
        )
        return sequence(answer.get("results")), text(answer.get("cursor"), 2000)

    def recording(self, recording_id: str) -> Mapping[str, Any] | None:
        answer = self.http.request(
            "GET", f"/recordings/{quote(recording_id, safe='')}", operation="get_recording", cost=READ, accept=(404,)
        )
        return None if answer.status == 404 else mapping(answer.body)

    def access_link(self, recording_id: str) -> str:
        """Only for recordings that Whereby itself keeps."""
        answer = self.http.request(
            "GET",
            f"/recordings/{quote(recording_id, safe='')}/access-link",
            operation="access_link",
            cost=READ,
            params={"validForSeconds": 3600},
        )
        link = mapping(answer.body).get("accessLink")
        if not isinstance(link, str) or not link:
            raise PlatformUnavailable("Whereby answered without a download link")
        return link

    def delete_recording(self, recording_id: str) -> None:
        self.http.request(
            "DELETE",
            f"/recordings/{quote(recording_id, safe='')}",
            operation="delete_recording",
            cost=WRITE,
            accept=(404,),
        )


def _filled(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value}
