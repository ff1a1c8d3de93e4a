"""``POST /v1/rooms/<slug>/move``: the way to move a room for other programs. Described in docs/api.md."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib.auth.models import User
from django.db import transaction
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from rooms.models import ApiAnswer, Move, MoveOrder, Room
from rooms.ordering import schedule_move
from rooms.planning import MoveRefused
from rooms.problems import PROBLEM, Problem, ProblemView, body_of
from rooms.rights import MOVE
from rooms.services import move_room

#: refusals that the same request would meet again whatever the state of the room
NOT_VALID = frozenset({"reason_missing", "unknown_platform", "at_passed", "at_too_far"})
LONGEST_KEY = 255
ANSWERS_KEPT = timedelta(hours=24)


class MoveRequest(serializers.Serializer[Any]):
    platform = serializers.CharField(max_length=32)
    reason = serializers.CharField(max_length=500)
    expected_platform = serializers.CharField(max_length=32, required=False, allow_null=True)
    at = serializers.DateTimeField(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if unknown := sorted(set(data) - set(self.fields)):
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return value


class MoveRoomView(ProblemView):
    # the first one answers who is not signed in: 401 and "WWW-Authenticate: Token"
    authentication_classes = [TokenAuthentication, SessionAuthentication]
    parser_classes = [JSONParser]

    def post(self, request: Request, slug: str) -> Response:
        if not request.user.has_perm(MOVE):
            raise PermissionDenied("You may not move rooms.")
        room = Room.objects.filter(slug=slug).first()
        if room is None:
            raise Problem(404, "not_found", f"No room has the short name “{slug}”.")
        asked = MoveRequest(data=request.data)
        if not asked.is_valid():
            errors = asked.errors
            raise Problem(422, "invalid", "Some fields are missing or not as they should be.", errors=errors)
        key = request.headers.get("Idempotency-Key")
        if key is None:
            status, body = self._move(request, room, asked.validated_data)
        else:
            status, body = self._once(key, request, room, asked.validated_data)
        return Response(body, status=status, content_type=PROBLEM if status >= 400 else None)

    def _once(self, key: str, request: Request, room: Room, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Move at most once per key: whoever sends the request again gets the first answer again.

        The answer is written in the transaction of the move, so that there is never one without the other; who sends it
        meanwhile waits for that.
        """
        if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
            raise Problem(400, "bad_key", f"An Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters.")
        told = json.dumps([request.path.rstrip("/"), request.data], sort_keys=True)
        request_hash = hashlib.sha256(told.encode()).hexdigest()
        with transaction.atomic():
            answer, is_new = ApiAnswer.objects.get_or_create(
                user=cast(User, request.user), key=key, defaults={"request_hash": request_hash}
            )
            if answer.request_hash != request_hash:
                raise Problem(422, "key_reused", "This Idempotency-Key was used for another request: take a new one.")
            if is_new:
                answer.status, answer.body = self._move(request, room, asked)
                answer.save(update_fields=["status", "body"])
        return answer.status, answer.body

    def _move(self, request: Request, room: Room, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        what = {
            "room_id": room.pk,
            "platform": asked["platform"],
            "reason": asked["reason"],
            "expected_platform": asked.get("expected_platform"),
            "actor": request.user,
        }
        try:
            if asked.get("at") is not None:
                return 202, _ordered(schedule_move(at=asked["at"], **what), room)
            return 200, _moved(move_room(source=Move.Source.API, **what))
        except MoveRefused as refusal:
            status = 404 if refusal.code == "gone" else 422 if refusal.code in NOT_VALID else 409
            return status, body_of(status, refusal.code.partition(":")[0], str(refusal), self.request_id)


def _moved(move: Move) -> dict[str, Any]:
    return {
        "room": move.room.slug,
        "from_platform": move.from_platform,
        "to_platform": move.to_platform,
        "reason": move.reason,
        "move_id": move.pk,
        "moved_at": move.moved_at.isoformat(),
    }


def _ordered(order: MoveOrder, room: Room) -> dict[str, Any]:
    return {
        "room": room.slug,
        "from_platform": room.platform,
        "to_platform": order.platform,
        "reason": order.reason,
        "order_id": order.pk,
        "scheduled_for": order.due_at.isoformat(),
    }


def forget_answers(now: datetime) -> None:
    """Delete answers that are older than anybody sends a request again."""
    ApiAnswer.objects.filter(created_at__lt=now - ANSWERS_KEPT).delete()
