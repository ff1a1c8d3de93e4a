"""Everything the sandbox knows, in one SQLite file that survives a restart.

Things are dictionaries, told apart by ``kind`` and ``id``; ``room`` and ``state`` are columns because they are what
things are looked up by. One process and one lock: whoever holds ``store.lock`` sees and makes a consistent world.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

Doc = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS doc (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    room TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS doc_room ON doc (kind, room);
CREATE INDEX IF NOT EXISTS doc_state ON doc (kind, state);
"""


class Store:
    def __init__(self, path: Path | str) -> None:
        self.lock = threading.RLock()
        self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def put(self, kind: str, doc: Doc) -> Doc:
        """Insert or replace by ``doc["id"]``; ``seq`` (order of creation) is set on the document."""
        with self.lock:
            body = json.dumps({key: value for key, value in doc.items() if key != "seq"})
            row = self._db.execute(
                "INSERT INTO doc (kind, id, room, state, body) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET room = excluded.room, state = excluded.state, "
                "body = excluded.body RETURNING seq",
                (kind, doc["id"], doc.get("room", ""), doc.get("state", ""), body),
            ).fetchone()
            doc["seq"] = row[0]
            return doc

    def get(self, kind: str, doc_id: str) -> Doc | None:
        with self.lock:
            row = self._db.execute("SELECT seq, body FROM doc WHERE kind = ? AND id = ?", (kind, doc_id)).fetchone()
        return None if row is None else {**json.loads(row[1]), "seq": row[0]}

    def all(self, kind: str, *, room: str | None = None, state: str | tuple[str, ...] | None = None) -> list[Doc]:
        """Oldest first."""
        states = (state,) if isinstance(state, str) else state or ()
        sql, values = "SELECT seq, body FROM doc WHERE kind = ?", [kind]
        if room is not None:
            sql, values = sql + " AND room = ?", [*values, room]
        if states:
            sql, values = sql + f" AND state IN ({','.join('?' * len(states))})", [*values, *states]
        with self.lock:
            rows = self._db.execute(sql + " ORDER BY seq", values).fetchall()
        return [{**json.loads(body), "seq": seq} for seq, body in rows]

    def delete(self, kind: str, doc_id: str) -> None:
        with self.lock:
            self._db.execute("DELETE FROM doc WHERE kind = ? AND id = ?", (kind, doc_id))

    def prune(self, kind: str, *, keep: int, states: tuple[str, ...]) -> None:
        """Forget all but the newest ``keep`` of the things in these states."""
        with self.lock:
            for state in states:
                self._db.execute(
                    "DELETE FROM doc WHERE kind = ? AND state = ? AND seq NOT IN "
                    "(SELECT seq FROM doc WHERE kind = ? ORDER BY seq DESC LIMIT ?)",
                    (kind, state, kind, keep),
                )

    def clear(self, *kinds: str) -> None:
        with self.lock:
            for kind in kinds:
                self._db.execute("DELETE FROM doc WHERE kind = ?", (kind,))

    def close(self) -> None:
        with self.lock:
            self._db.close()
