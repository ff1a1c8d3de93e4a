"""What needs no database: ranges, deep links, captions, clocks."""

import pytest

from recordings.captions import webvtt
from recordings.deeplink import seconds
from recordings.models import TranscriptSegment
from recordings.ranges import wanted_range
from recordings.reading import clock


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=0-99", (0, 99)),
        ("bytes=0-", (0, 999)),
        ("bytes=990-5000", (990, 999)),
        ("bytes=-10", (990, 999)),
        ("bytes=-5000", (0, 999)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("items=0-1", None),
    ],
)
def test_wanted_range_reads_one_range(header, expected):
    assert wanted_range(header, 1000) == expected


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=4000-5000", "bytes=-0"])
def test_wanted_range_outside_the_file_is_refused(header):
    with pytest.raises(ValueError, match="bytes"):
        wanted_range(header, 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("754", 754), ("12m34s", 754), ("1h2m3s", 3723), ("0", 0), ("", None), ("abc", None), ("1x", None), ("-4", None)],
)
def test_deep_link_names_a_second(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(("at", "expected"), [(0, "0:00"), (754, "12:34"), (3723, "1:02:03")])
def test_clock_reads_like_a_clock(at, expected):
    assert clock(at) == expected


def test_captions_have_two_lines_at_most_and_end_after_they_begin():
    long = "It was the best of times, it was the worst of times, it was the age of wisdom. " * 3
    text = webvtt([TranscriptSegment(start_ms=1000, end_ms=9000, text=long + "<b>&")])
    assert text.startswith("WEBVTT\n\n00:00:01.000 --> ")
    cues = text.strip().split("\n\n")[1:]
    assert len(cues) > 2
    for cue in cues:
        times, *lines = cue.split("\n")
        begin, end = times.split(" --> ")
        assert end > begin
        assert len(lines) <= 2
    assert "&lt;b&gt;&amp;" in text
    assert "<b>" not in text
