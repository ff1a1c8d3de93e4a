"""Bodies that a provider might send one day: each sample, and each sample with one thing wrong with it.

``variations()`` yields ``(name, body)``; the same ones every time. Some can only be said in bytes (a lone surrogate
that is not escaped, 20,000 levels), so bodies are bytes.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAYLOADS = Path(__file__).parent / "payloads"
PROBE = "daily-webhook.verification"
DEPTH = 20_000

Path_ = tuple[str | int, ...]


def samples() -> list[tuple[str, str, bytes]]:
    """(platform, name, body) of every payload file except the probe, which is not to be stored."""
    found = [(path.name.partition("-")[0], path.stem, path.read_bytes()) for path in sorted(PAYLOADS.glob("*.json"))]
    return [one for one in found if one[1] != PROBE]


def variations(body: bytes) -> Iterator[tuple[str, bytes]]:
    value = json.loads(body)
    yield "as it is", body
    yield "in one line", json.dumps(value, separators=(",", ":")).encode()
    yield "extra fields", _dump(_everywhere_more(value))
    yield "all numbers as strings", _dump(_numbers_as_strings(value))
    yield "not JSON at all", body[:-2]
    yield "a byte order mark", b"\xef\xbb\xbf" + body
    yield "not UTF-8", body.replace(b'"id"', b'"\xff\xfe"', 1)
    yield "a raw NUL", body + b"\x00"
    yield "in a list", b"[" + body + b"]"
    yield "20,000 levels", b"[" * DEPTH + b"]" * DEPTH
    yield "20,000 levels beside it", body.rstrip()[:-1] + b',"deep":' + b'{"a":' * DEPTH + b"1" + b"}" * DEPTH + b"}"
    yield "a number of 5,000 digits", body.rstrip()[:-1] + b',"big":' + b"9" * 5000 + b"}"
    for path in _paths(value):
        where = ".".join(map(str, path))
        yield f"{where} missing", _dump(_without(value, path))
        old = _get(value, path)
        for what, new in _replacements(old):
            yield f"{where} {what}", _dump(_with(value, path, new))
        yield (
            f"{where} 20,000 levels",
            _dump(_with(value, path, "DEEP")).replace(b'"DEEP"', b"[" * DEPTH + b"]" * DEPTH),
        )


def _replacements(old: Any) -> Iterator[tuple[str, Any]]:
    yield "null", None
    yield "as text", str(old)
    yield "a NUL", f"{old}\x00"
    yield "a lone surrogate", f"\ud800{old}\udfff"
    yield "a list", [old]
    yield "an object", {"value": old}
    yield "true", True
    yield "an absurd number", 1e308
    yield "very negative", -(10**30)
    yield "very long", "x" * 5000


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every field, inner ones too."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def _get(value: Any, path: Path_) -> Any:
    for key in path:
        value = value[key]
    return value


def _with(value: Any, path: Path_, new: Any) -> Any:
    changed = copy.deepcopy(value)
    _get(changed, path[:-1])[path[-1]] = new
    return changed


def _without(value: Any, path: Path_) -> Any:
    changed = copy.deepcopy(value)
    del _get(changed, path[:-1])[path[-1]]
    return changed


def _everywhere_more(value: Any) -> Any:
    if isinstance(value, dict):
        return {"new": {"field": [1, None]}, **{key: _everywhere_more(inner) for key, inner in value.items()}}
    return [_everywhere_more(inner) for inner in value] if isinstance(value, list) else value


def _numbers_as_strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers_as_strings(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers_as_strings(inner) for inner in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
