"""Addresses of the API for rooms. They work with and without a slash at the end."""

from django.urls import path

from rooms.api import MoveRoomView

urlpatterns = [
    path("v1/rooms/<slug:slug>/move", MoveRoomView.as_view(), name="api-move-room"),
    path("v1/rooms/<slug:slug>/move/", MoveRoomView.as_view()),
]
