"""Pages that participants meet. ``bookmark`` is last of all addresses and never takes one of ours."""

from django.urls import path, re_path

from meetings.views import beacon, bookmark, call, home, receipt, room, state
from rooms.models import RESERVED_SLUGS

_OURS = "|".join(sorted(RESERVED_SLUGS))

urlpatterns = [
    path("", home.home, name="home"),
    path("rooms/<slug:slug>/", room.room, name="room"),
    path("rooms/<slug:slug>/kept/", room.kept, name="room-kept"),
    path("rooms/<slug:slug>/state", state.state, name="room-state"),
    path("rooms/<slug:slug>/state/", state.state),
    path("rooms/<slug:slug>/call/", call.call, name="call"),
    path("rooms/<slug:slug>/call/state", state.call_state, name="call-state"),
    path("rooms/<slug:slug>/call/report", state.report, name="call-report"),
    path("rooms/<slug:slug>/call/beacon", beacon.beacon, name="call-beacon"),
    path("rooms/<slug:slug>/call/answer", call.answer, name="call-answer"),
    path("rooms/<slug:slug>/call/record", call.record, name="call-record"),
    path("rooms/<slug:slug>/call/end", call.end, name="call-end"),
    path("rooms/<slug:slug>/out/<slug:what>/", room.out, name="room-out"),
    path("receipts/<slug:token>/", receipt.receipt, name="receipt"),
    path("receipts/<slug:token>/withdraw/", receipt.withdraw_consent, name="receipt-withdraw"),
    re_path(rf"^(?!(?:{_OURS})/?$)(?P<slug>[-a-zA-Z0-9_]+)/?$", bookmark.bookmark, name="bookmark"),
]
