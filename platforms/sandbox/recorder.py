"""Recordings: from the start order to the file in the bucket.

States: in-progress → stopping (pages hand in their last chunk) → mixing → finished, canceled (nothing in it) or
error. A *take* is one unbroken run of one page's microphone: a WebM file that grows by the chunks the page uploads.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from pathlib import Path

from platforms.sandbox.calls import Calls
from platforms.sandbox.clock import Clock
from platforms.sandbox.config import Config
from platforms.sandbox.mixing import Piece, write_mp4, write_webm
from platforms.sandbox.storage import Storage
from platforms.sandbox.store import Doc, Store

logger = logging.getLogger(__name__)

RUNNING = "in-progress"


class Recorder:
    def __init__(self, store: Store, clock: Clock, config: Config, calls: Calls, storage: Storage) -> None:
        self.store, self.clock, self.config, self.calls, self.storage = store, clock, config, calls, storage
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- orders

    def running(self, room_id: str, instance_id: str | None = None) -> list[Doc]:
        found = self.store.all("recording", room=room_id, state=RUNNING)
        return [each for each in found if instance_id in (None, each["instance_id"])]

    def start(self, room: Doc, asked: Doc) -> Doc:
        """``asked``: type, instance_id, layout, started_by, max_duration_s, meeting."""
        provider = self.calls.provider(room["id"])
        with self.store.lock:
            recording: Doc = {
                "id": str(uuid.uuid4()),
                "room": room["id"],
                "room_name": room["name"],
                "platform": provider.slug,
                "state": RUNNING,
                "started_at": self.clock.now(),
                "stopped_at": None,
                "empty_since": None,
                "duration": 0.0,
                "max_participants": len(provider.humans(room["id"])),
                "bucket": "",
                "key": "",
                "size": 0,
                "tracks": [],
                "why": "",
                **asked,
            }
            faulty = provider.faults.take(provider.slug, "recording_errors")
            try:
                if faulty:
                    raise LookupError("Error fetching STS credentials")
                recording["bucket"], recording["key"] = provider.recording_place(room, recording)
            except LookupError as error:
                # The order was taken; what is wrong with the bucket only shows during the call (facts F12).
                recording.update(state="error", stopped_at=self.clock.now(), why=str(error))
                self.store.put("recording", recording)
                provider.recording_failed(room, recording, str(error))
                return recording
            self.store.put("recording", recording)
            provider.recording_started(room, recording)
        logger.info("recording %s started (%s)", recording["id"], recording["type"])
        return recording

    def stop(self, recording: Doc, why: str) -> None:
        with self.store.lock:
            current = self.store.get("recording", recording["id"])
            if current is None or current["state"] != RUNNING:
                return
            current.update(state="stopping", stopped_at=self.clock.now(), why=why, flush_until=None)
            self.store.put("recording", current)
            room = self.store.get("room", current["room"])
            if room is not None:
                self.calls.provider(room["id"]).recording_stopped(room, current)
        logger.info("recording %s stopped: %s", recording["id"], why)

    def forget(self, recording: Doc) -> None:
        """Deleting leaves the owner's own bucket alone (facts A6)."""
        with self.store.lock:
            self.store.delete("recording", recording["id"])
            self._drop_takes(recording)

    # -- takes

    def add_chunk(self, person: Doc, *, take_id: str, seq: int, start_ms: int, ids: list[str], data: bytes) -> int:
        """Append a chunk; the number of the next one wanted. A chunk that was there already is fine."""
        with self.store.lock:
            key = f"{person['id']}:{take_id}"
            take = self.store.get("take", key)
            if take is None:
                known = {each["id"] for each in self.store.all("recording", room=person["room"])}
                path = self.config.takes / person["id"] / f"{take_id}.webm"
                path.parent.mkdir(parents=True, exist_ok=True)
                take = {
                    "id": key,
                    "room": person["room"],
                    "state": "open",
                    "session": person["id"],
                    "start_ms": start_ms,
                    "next_seq": 0,
                    "path": str(path),
                    "recordings": [each for each in ids if each in known],
                }
            if seq == take["next_seq"]:
                with Path(take["path"]).open("ab") as file:
                    file.write(data)
                take["next_seq"] += 1
            self.store.put("take", take)
            return int(take["next_seq"])

    def close_take(self, person: Doc, take_id: str) -> None:
        with self.store.lock:
            take = self.store.get("take", f"{person['id']}:{take_id}")
            if take is not None:
                self.store.put("take", {**take, "state": "closed"})

    def _takes(self, recording: Doc) -> list[Doc]:
        takes = self.store.all("take", room=recording["room"])
        return [take for take in takes if recording["id"] in take["recordings"]]

    # -- time

    def tick(self) -> None:
        """Stop what runs on in an empty room or for too long; pass on what all pages have handed in."""
        now = self.clock.now()
        for recording in self.store.all("recording", state=RUNNING):
            provider = self.calls.provider(recording["room"])
            room, count = self.store.get("room", recording["room"]), len(provider.humans(recording["room"]))
            if room is None or room["state"] == "deleted":
                self.stop(recording, "the room is gone")
            elif now - recording["started_at"] >= recording["max_duration_s"]:
                self.stop(recording, "maximum duration")
            elif count:
                if recording["empty_since"] is not None or count > recording["max_participants"]:
                    most = max(count, recording["max_participants"])
                    self.store.put("recording", {**recording, "empty_since": None, "max_participants": most})
            elif recording["empty_since"] is None:
                self.store.put("recording", {**recording, "empty_since": now})
            elif now - recording["empty_since"] >= self.config.empty_recording_s:
                self.stop(recording, "everybody left")
        for recording in self.store.all("recording", state="stopping"):
            self._pass_on(recording, time.time())

    def _pass_on(self, recording: Doc, wall: float) -> None:
        """To the mixer, once no page owes us a chunk. The machine's clock: pages do not run on the injected one."""
        with self.store.lock:
            if recording.get("flush_until") is None:
                recording["flush_until"] = wall + self.config.flush_s
            waits = any(take["state"] == "open" for take in self._takes(recording))
            if not waits or wall >= recording["flush_until"]:
                provider = self.calls.provider(recording["room"])
                recording["state"] = "mixing"
                recording["mix_at"] = self.clock.now() + float(provider.faults.of(provider.slug)["recording_delay_s"])
            self.store.put("recording", recording)

    # -- the file

    def mix_due(self) -> None:
        for recording in self.store.all("recording", state="mixing"):
            if recording["mix_at"] <= self.clock.now() and not self._stop.is_set():
                self._finish(recording)

    def _sources(self, recording: Doc) -> list[tuple[str, Piece]]:
        """(session id, sound) of everybody who was heard, offsets from the recording's start."""
        begin, end = recording["started_at"], recording["stopped_at"]
        found = []
        for take in self._takes(recording):
            if Path(take["path"]).exists():
                piece = Piece(path=Path(take["path"]), offset_s=take["start_ms"] / 1000 - begin)
                found.append((take["session"], piece))
        for person in self.store.all("person", room=recording["room"]):
            joined, left = person.get("joined_at"), person.get("left_at") or end
            if person.get("audio") and joined is not None and joined < end and left > begin:
                logger.warning("injected sound of %s goes into recording %s", person["id"], recording["id"])
                piece = Piece(path=Path(person["audio"]), offset_s=joined - begin, length_s=left - joined)
                found.append((person["id"], piece))
        return found

    def _finish(self, recording: Doc) -> None:
        provider = self.calls.provider(recording["room"])
        room = self.store.get("room", recording["room"])
        length = recording["stopped_at"] - recording["started_at"]
        if length < 0.5 or room is None:
            self.store.put("recording", {**recording, "state": "canceled"})
            self._drop_takes(recording)
            return
        try:
            changes = self._write(recording, length)
        except LookupError as error:
            self.store.put("recording", {**recording, "state": "error", "why": f"no such bucket or key: {error}"})
            provider.recording_failed(room, recording, "Error fetching STS credentials")
            return
        except Exception as error:  # one broken recording must not hold up the others
            logger.exception("recording %s", recording["id"])
            self.store.put("recording", {**recording, "state": "error", "why": type(error).__name__})
            provider.recording_failed(room, recording, "internal error")
            return
        with self.store.lock:
            recording.update(state="finished", duration=length, finished_at=self.clock.now(), **changes)
            self.store.put("recording", recording)
            provider.recording_finished(room, recording)
            self._drop_takes(recording)
        logger.info("recording %s finished, %.1f s", recording["id"], length)

    def _write(self, recording: Doc, length: float) -> Doc:
        work = self.config.state / "work" / recording["id"]
        work.mkdir(parents=True, exist_ok=True)
        try:
            sources = self._sources(recording)
            if recording["type"] == "raw-tracks":
                return {"tracks": self._write_tracks(recording, sources, length, work)}
            file = work / "mix.mp4"
            write_mp4(file, [piece for _, piece in sources], length, picture=recording["type"] == "cloud")
            return {"size": self.storage.put(recording["bucket"], recording["key"], file, "video/mp4")}
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _write_tracks(self, recording: Doc, sources: list[tuple[str, Piece]], length: float, work: Path) -> list[Doc]:
        tracks = []
        for number, (session, piece) in enumerate(sources):
            file = work / f"{number}.webm"
            if piece.path.suffix == ".webm" and piece.offset_s >= 0 and piece.length_s is None:
                shutil.copyfile(piece.path, file)  # as it came: the container is not transcoded (facts C)
                begins = piece.offset_s
            else:
                begins = max(0.0, piece.offset_s)
                heard = Piece(path=piece.path, offset_s=piece.offset_s - begins, length_s=piece.length_s)
                sounding = length - begins
                if piece.length_s is not None:
                    sounding = min(sounding, piece.length_s + heard.offset_s)
                write_webm(file, heard, sounding)
            start_ms = int((recording["started_at"] + begins) * 1000)
            key = f"{recording['key']}-{session}-cam-audio-{start_ms}"
            size = self.storage.put(recording["bucket"], key, file, "audio/webm")
            tracks.append({"type": "audio", "s3Key": key, "size": size})
        return tracks

    def _drop_takes(self, recording: Doc) -> None:
        """Throw away sound that no recording needs any more."""
        done = ("finished", "canceled", "error")
        for take in self._takes(recording):
            others = [self.store.get("recording", each) for each in take["recordings"] if each != recording["id"]]
            if all(each is None or each["state"] in done for each in others):
                Path(take["path"]).unlink(missing_ok=True)
                self.store.delete("take", take["id"])

    # -- thread

    def start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="mixer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            try:
                self.mix_due()
            except Exception:  # the thread must outlive one bad recording
                logger.exception("mixer")

    def stop_thread(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
