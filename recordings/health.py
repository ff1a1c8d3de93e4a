"""Readiness of what recordings lean on."""

from __future__ import annotations

from platforms.base import Finding
from platforms.health import readiness
from recordings import transcribers
from recordings.filestore import FileMissing, StorageUnavailable, filestore


@readiness("storage")
def storage_takes_files() -> Finding:
    try:
        filestore().check()
    except (FileMissing, StorageUnavailable, ValueError) as error:
        return Finding(
            ok=False,
            what=f"the media storage cannot be used: {str(error) or 'it keeps nothing'}",
            why="Recordings cannot be fetched or played.",
            fix="correct MEDIA_STORAGE, or make the folder or bucket writable",
        )
    return Finding(ok=True, what="the media storage takes files")


@readiness("transcriber", blocks=False, doctor_only=True)
def transcriber_is_there() -> Finding:
    for problem in transcribers.problems():
        return Finding(ok=False, what=problem.message, why="Recordings get no transcript.", fix=problem.hint)
    return Finding(ok=True, what=f"transcripts are made by {transcribers.transcriber().name}")
