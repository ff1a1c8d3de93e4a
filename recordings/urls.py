from django.urls import path

from recordings import views

urlpatterns = [
    path("meetings/<uuid:pk>/", views.meeting, name="meeting"),
    path("meetings/<uuid:pk>/recordings/<uuid:recording_id>/media", views.media, name="recording-media"),
    path("meetings/<uuid:pk>/recordings/<uuid:recording_id>/captions.vtt", views.captions, name="recording-captions"),
]
