"""Peak memory of probing, cutting and transcribing, by length: it must not grow with the recording.

    python tests/bench/media_memory.py            (some minutes, Linux)

Each line is a process of its own; "before" is the process with everything imported that has not read the file yet.
Measured with Python 3.11, av 18.1.0 and moonshine-voice 0.1.0 on two busy cores; peaks in MB, 51 before:

    length    probe   cut   transcribe
     1 min       58    62          272
    10 min       59    64          286
    60 min       68    70          290 (stopped while it ran; unchanged for the last six minutes)

The 10 MB between 10 and 60 minutes are the MP4's own index (a line per sound packet), which the decoder keeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

LENGTHS_MIN = (1, 10, 60)


def peak_mb() -> int:
    """Not ``ru_maxrss``: that one starts with the size of the process that this one was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def measure(task: str, path: str) -> None:
    from recordings import media
    from recordings.transcribers.moonshine import MoonshineTranscriber

    before = peak_mb()
    began = time.monotonic()
    if task == "probe":
        found = f"{media.probe(path).duration_ms / 60_000:.1f} min"
    elif task == "cut":
        found = f"{sum(1 for _ in media.speech_pieces(path))} pieces"
    else:
        found = f"{sum(1 for _ in MoonshineTranscriber().transcribe(path, language='en'))} segments"
    sys.stdout.write(
        f"{task:11} before {before:4} MB  peak {peak_mb():4} MB  {time.monotonic() - began:6.1f} s  {found}\n"
    )


def main() -> None:
    from recordings.demo_media import PHRASES, Clip, speech, write_mp4

    sound = speech(PHRASES)
    with tempfile.TemporaryDirectory() as folder:
        for minutes in LENGTHS_MIN:
            path = Path(folder) / f"{minutes}.mp4"
            clips = [Clip(start, sound) for start in range(0, minutes * 60 - 44, 50)]
            write_mp4(path, clips, duration_s=minutes * 60)
            sys.stdout.write(f"-- {minutes} min, {path.stat().st_size // 1024} KiB\n")
            sys.stdout.flush()
            for task in ("probe", "cut", "transcribe"):
                subprocess.run([sys.executable, __file__, task, str(path)], check=True)
            path.unlink()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
    else:
        main()
