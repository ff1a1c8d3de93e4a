import pytest

from rooms.words import given


@pytest.mark.parametrize("text", ["", " \n\t", "\x00", "\u200b\u2060", "\u3164", "\u2800", "\u00a0\u200d\ufeff"])
def test_what_cannot_be_seen_is_not_given(text):
    assert given(text) == ""


@pytest.mark.parametrize(
    ("text", "kept"), [(" pilot ", "pilot"), ("?", "?"), ("\x00ok", "ok"), ("परीक्षण", "परीक्षण"), ("👍", "👍")]
)
def test_what_can_be_seen_is(text, kept):
    assert given(text) == kept
