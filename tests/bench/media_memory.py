"""Peak memory of fetching nothing, probing, cutting and transcribing, by length: it must not grow with the recording.

    python tests/bench/media_memory.py            the table below, again (some minutes)

Each line is a process of its own; "kept" is the process with everything imported and before it reads the file.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

LENGTHS_MIN = (1, 10, 60)


def measure(task: str, path: str) -> None:
    from recordings import media
    from recordings.transcribers.moonshine import MoonshineTranscriber

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    began = time.monotonic()
    if task == "probe":
        found = f"{media.probe(path).duration_ms / 60_000:.1f} min"
    elif task == "cut":
        found = f"{sum(1 for _ in media.speech_pieces(path))} pieces"
    else:
        found = f"{sum(1 for _ in MoonshineTranscriber().transcribe(path, language='en'))} segments"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{task:11} kept {before:4} MB  peak {peak:4} MB  {time.monotonic() - began:6.1f} s  {found}\n")


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
