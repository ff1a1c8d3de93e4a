"""Whatever people, staff, providers, crashes and time do at once: what a meeting is never breaks.

Real processes on a real PostgreSQL, killed at random moments; the providers are played over HTTP. Hypothesis makes up
what happens; the database is asked after every step. Without the locks the same test must fail.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from werkzeug.serving import make_server

from platforms.sandbox.config import Config
from platforms.sandbox.server import Sandbox
from platforms.sandbox.storage import free_port
from rooms.waves.commands import Command
from tests.crash import Installation
from tests.stateful.operations import PLATFORMS
from tests.stateful.processes import Processes, processes

pytestmark = [pytest.mark.crash, pytest.mark.long, pytest.mark.postgres, pytest.mark.timeout(900)]
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROOMS = 4
ROLL_BACK = list(Command).index(Command.ROLL_BACK)

number = st.integers(0, 9)
#: name → strategies of its arguments; the more often a name is here, the more often it happens
WHAT_HAPPENS: list[tuple[str, dict[str, st.SearchStrategy[Any]]]] = [
    *[("join", {"room": number, "name": number})] * 4,
    ("rejoin", {"participant": number}),
    *[("arrive", {"participant": number, "session": st.integers(0, 1)})] * 2,
    *[("leave", {"participant": number, "session": st.integers(0, 1)})] * 2,
    ("session_ends", {"meeting": number}),
    ("host_ends", {"meeting": number}),
    *[("move", {"room": number, "platform": number})] * 3,
    *[("bulk_move", {"platform": number})] * 2,
    ("schedule", {"room": number, "platform": number, "minutes": number}),
    ("undo", {"number": number}),
    *[("switch", {"platform": number, "close": st.booleans()})] * 3,
    ("wave_begins", {"platform": number}),
    ("wave_is_told", {"wave": number, "command": number, "percent": st.sampled_from([0, 10, 60])}),
    *[("experiment_begins", {"platform": number})] * 3,
    ("fails", {"room": number}),
    *[("sweep", {})] * 2,
]
#: what happens in every example, in any order, while people press *Join* and a host ends meetings
ACTS: list[list[tuple[str, dict[str, Any]]]] = [
    [
        ("bulk_move", {"platform": 1}),
        ("wave_begins", {"platform": 0}),
        ("sweep", {}),
        ("everything_fails", {}),
        ("sweep", {}),
    ],
    [
        *[("arrive", {"participant": 0, "session": session}) for session in (0, 1)],
        *[("rejoin", {"participant": participant}) for participant in (0, -1)],
        ("leave", {"participant": 0, "session": 0}),
        ("arrive", {"participant": -1, "session": 0}),
    ],
    [("move", {"room": 0, "platform": 0}), ("undo", {"number": 0})],
    [("move", {"room": 1, "platform": 1}), ("undo", {"number": 0})],
    [("switch", {"platform": 0, "close": True}), ("switch", {"platform": 0, "close": False})],
    [("experiment_begins", {"platform": 0}), ("join", {"room": 2, "name": 0}), ("join", {"room": 3, "name": 0})],
    [("schedule", {"room": room, "platform": room, "minutes": 0}) for room in (0, 1)],
    [
        ("wave_begins", {"platform": 1}),
        ("sweep", {}),
        ("wave_is_told", {"wave": 0, "command": ROLL_BACK, "percent": 0}),
        ("wave_is_told", {"wave": 1, "command": ROLL_BACK, "percent": 0}),
    ],
]
#: (what took effect, how often) in one example, asked of the database before the next one begins
EFFECTS = """
    SELECT 'move: ' || source, count(*) FROM rooms_move GROUP BY source
    UNION ALL SELECT 'switch', count(*) FROM rooms_platformswitch
    UNION ALL SELECT 'wave: ' || what || CASE WHEN numbers ->> 'by' = 'guard' THEN ' by the guard' ELSE '' END, count(*)
        FROM rooms_waveentry GROUP BY 1
    UNION ALL SELECT 'experiment: ' || what, count(*) FROM rooms_experimententry GROUP BY what
    UNION ALL SELECT 'drawn for ' || platform, count(*) FROM rooms_assignment GROUP BY platform
    UNION ALL SELECT 'order: ' || kind || ' ' || status, count(*) FROM rooms_moveorder GROUP BY kind, status
    UNION ALL SELECT 'meeting: ' || status || ' on ' || platform, count(*)
        FROM meetings_meeting GROUP BY status, platform
    UNION ALL SELECT 'meeting: fell back', count(*) FROM meetings_meeting WHERE fell_back_from_id IS NOT NULL
    UNION ALL SELECT CASE WHEN reported_left_at IS NULL THEN 'stay: came' ELSE 'stay: left' END, count(*)
        FROM meetings_participantsession WHERE joined_at IS NOT NULL GROUP BY 1
    UNION ALL SELECT 'stay: came again', count(*) - count(DISTINCT participant_id)
        FROM meetings_participantsession WHERE joined_at IS NOT NULL
"""
#: what twenty examples always bring about; the invariants would say nothing of what never took effect
MUST_HAPPEN = (
    *("move: bulk", "move: command", "move: wave", "move: undo", "switch", "wave: started"),
    *("experiment: start", "drawn for daily", "drawn for whereby"),
    *("meeting: ended on daily", "meeting: ended on whereby", "meeting: fell back"),
    *("move: rollback", "order: scheduled done", "wave: held by the guard"),
    *("stay: came", "stay: left", "stay: came again"),
)
calls = st.sampled_from(range(len(WHAT_HAPPENS))).flatmap(
    lambda index: st.tuples(
        st.just(WHAT_HAPPENS[index][0]),
        st.fixed_dictionaries(WHAT_HAPPENS[index][1]),
        # one in three dies in the middle
        st.one_of(st.none(), st.none(), st.integers(0, 60)),
    )
)


class World:
    """One installation, used by one example after the other."""

    def __init__(self, pool: Processes, database_url: str, providers: Sandbox) -> None:
        self.pool = pool
        self.providers = providers
        self.database = psycopg.connect(database_url, autocommit=True)
        self.happened: dict[str, int] = {}
        self.effects: Counter[str] = Counter()
        self.broken: list[str] = []  #: what was seen that must never be

    def count_effects(self) -> None:
        for what, times in self.rows(EFFECTS):
            self.effects[what] += times

    def empty(self) -> None:
        self.count_effects()
        self.database.execute("SET client_min_messages = warning")
        tables = [row[0] for row in self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        ours = [name for name in tables if name.split("_")[0] in ("platforms", "rooms", "meetings", "recordings")]
        self.database.execute(f"TRUNCATE {', '.join(ours)} CASCADE")

    def make_rooms(self) -> None:
        (answer,) = self.pool.together(BEGIN, [("make_rooms", {"number": ROOMS}, None)])
        assert answer[0] == "done", answer[1]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.database.execute(query).fetchall()


class Meetings(RuleBasedStateMachine):
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.empty()
        self.world.make_rooms()
        self.now = BEGIN
        self.platform_of: dict[str, str] = {}
        self.sent_to: dict[str, set[str]] = {}

    @initialize(acts=st.permutations(ACTS), dies=st.integers(0, 60))
    def all_of_it_at_least_once(self, acts: list[list[tuple[str, dict[str, Any]]]], dies: int) -> None:
        for name, arguments in chain.from_iterable(acts):
            joins: list[tuple[str, dict[str, Any], int | None]] = [
                ("join", {"room": room, "name": room}, None) for room in range(2)
            ]
            joins.append(("join", {"room": 1, "name": 2}, dies))
            self._do([*joins, ("host_ends", {"meeting": 0}, None), (name, arguments, None)])
        self.time_passes(minutes=3)  # scheduled moves are due
        self._do([("host_ends", {"meeting": meeting}, None) for meeting in range(ROOMS)])
        for platform in PLATFORMS:
            self.a_provider_is_down(platform=platform, people=ROOMS)

    @rule(together=st.lists(calls, min_size=1, max_size=6))
    def happen(self, together: list[tuple[str, dict[str, Any], int | None]]) -> None:
        self._do(together)

    @rule(room=number, people=st.integers(2, 5), platform=number)
    def many_join_while_it_moves(self, room: int, people: int, platform: int) -> None:
        joins: list[tuple[str, dict[str, Any], int | None]] = [
            ("join", {"room": room, "name": person}, None) for person in range(people)
        ]
        self._do([*joins, ("move", {"room": room, "platform": platform}, None)])

    @rule(room=number)
    def two_move_it_at_once(self, room: int) -> None:
        self._do([("move", {"room": room, "platform": platform}, None) for platform in (0, 1, 0, 1)])

    @rule(minutes=st.sampled_from([1, 3, 12, 45, 500, 20_000]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self._do([("sweep", {}, None)])

    @rule(room=number)
    def it_fails_again_and_again(self, room: int) -> None:
        for _ in range(3):
            self._do([("fails", {"room": room}, None)])
        self._do([("sweep", {}, None)])

    @rule(platform=st.sampled_from(PLATFORMS), people=st.integers(1, ROOMS))
    def a_provider_is_down(self, platform: str, people: int) -> None:
        faults = self.world.providers.faults
        faults.set(platform, {"down": True})
        self._do([("join", {"room": person, "name": person}, None) for person in range(people)])
        faults.reset(platform)

    def _do(self, together: list[tuple[str, dict[str, Any], int | None]]) -> None:
        self.now += timedelta(seconds=1)
        # a provider makes no room that is over by its own clock
        self.world.providers.clock.freeze(self.now.timestamp())
        for name, _, dies in together:
            for what in (name, "killed" if dies is not None else "lived"):
                self.world.happened[what] = self.world.happened.get(what, 0) + 1
        for kind, answer in self.world.pool.together(self.now, together):
            self._must(kind != "broken", str(answer))
            if kind == "done" and isinstance(answer, dict):
                self.sent_to.setdefault(answer["meeting"], set()).add(self._platform_at(answer["address"]))

    def _platform_at(self, address: str) -> str:
        """The played providers live side by side: the first part of an address's path says whose it is."""
        return urlsplit(address).path.split("/")[1]

    @invariant()
    def a_meeting_never_changes_its_platform(self) -> None:
        for meeting, platform in self.world.rows("SELECT id::text, platform FROM meetings_meeting"):
            self._must(self.platform_of.setdefault(meeting, platform) == platform, f"{meeting} changed its platform")

    @invariant()
    def one_meeting_is_open_in_a_room(self) -> None:
        live = "SELECT room_id, count(*) FROM meetings_meeting WHERE status IN ('opening', 'open') GROUP BY room_id"
        for room, meetings in self.world.rows(f"{live} HAVING count(*) > 1"):
            self._must(False, f"room {room} has {meetings} live meetings")

    @invariant()
    def people_of_one_meeting_are_on_one_platform(self) -> None:
        for meeting, platforms in self.sent_to.items():
            here = {self.platform_of.get(meeting, "")}
            self._must(platforms == here, f"people of {meeting} on {here} were sent to {platforms}")
        elsewhere = """
            SELECT p.id FROM meetings_participant p JOIN meetings_meeting m ON m.id = p.meeting_id
            WHERE p.platform <> m.platform
        """
        self._must(self.world.rows(elsewhere) == [], "a person is on another platform than their meeting")

    @invariant()
    def moves_are_a_chain_that_ends_where_the_room_is(self) -> None:
        at: dict[int, str] = {}
        moves = "SELECT room_id, from_platform, to_platform FROM rooms_move ORDER BY id"
        for room, left, reached in self.world.rows(moves):
            self._must(at.setdefault(room, left) == left, f"room {room} was moved from {left}, where it was not")
            at[room] = reached
        for room, platform in self.world.rows("SELECT id, platform FROM rooms_room"):
            self._must(
                at.get(room, platform) == platform, f"room {room} is on {platform}; its last move says otherwise"
            )

    @invariant()
    def a_meeting_that_was_drawn_is_where_the_lot_fell(self) -> None:
        """A draw and its meeting are written together, and a room's draws are numbered without gaps."""
        elsewhere = """
            SELECT a.meeting_id::text, a.platform, m.platform
            FROM rooms_assignment a LEFT JOIN meetings_meeting m ON m.id = a.meeting_id
            WHERE m.platform IS DISTINCT FROM a.platform
        """
        for meeting, drawn, here in self.world.rows(elsewhere):
            self._must(False, f"{meeting} was drawn for {drawn} and is on {here}")
        gaps = """
            SELECT experiment_id, room_id FROM rooms_assignment
            GROUP BY experiment_id, room_id HAVING max(number) + 1 <> count(*)
        """
        self._must(self.world.rows(gaps) == [], "the draws of a room have gaps")

    def _must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.world.broken.append(otherwise)
        assert holds, otherwise


@contextmanager
def a_world(folder: Path, postgres_url: str, *, unlocked: bool = False) -> Iterator[World]:
    config = Config(state=folder, base_url="", public_url="http://127.0.0.1:9", flush_s=0.0)
    sandbox = Sandbox(config, s3_port=free_port(0), environ={})
    server = make_server("127.0.0.1", 0, sandbox.app, threaded=True)
    config.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    environ = config.environment() | {
        "PLATFORM_FAILURE_POLICY": "fall_back",
        **({"UNLOCKED": "1"} if unlocked else {}),
    }
    try:
        with (
            Installation(folder, database_url=postgres_url, broker_url="stub://", environ=environ) as installation,
            processes(folder, os.environ | installation.environ) as pool,
        ):
            yield World(pool, postgres_url, sandbox)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        sandbox.store.close()


def look_for_trouble(world: World, *, examples: int, steps: int) -> None:
    machine = type("MeetingsHere", (Meetings,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            # real concurrency does not repeat itself: a smaller example cannot be looked for
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nothing_that_happens_breaks_a_meeting(tmp_path, postgres_url):
    with a_world(tmp_path, postgres_url) as world:
        look_for_trouble(world, examples=int(os.environ.get("STATEFUL_EXAMPLES", "20")), steps=15)
        assert not world.broken
        assert world.happened["killed"] > 20, world.happened
        world.count_effects()
        never = [what for what in MUST_HAPPEN if not world.effects[what]]
        assert not never, (never, world.effects, world.happened)


def test_without_the_locks_and_the_index_it_is_noticed(tmp_path, postgres_url):
    """The same product with ``select_for_update`` taken out, and the index that allows one live meeting a room."""
    with a_world(tmp_path, postgres_url, unlocked=True) as world:
        world.database.execute("DROP INDEX one_live_meeting_per_room")
        signs = ("live meetings", "was moved from", "last move says otherwise", "one_draw_per_number")
        for _ in range(5):
            # an AssertionError of ours, or hypothesis complaining that it could not make it happen again
            with pytest.raises((AssertionError, HypothesisException, BaseExceptionGroup)):
                look_for_trouble(world, examples=200, steps=15)
            if any(sign in one for sign in signs for one in world.broken):
                break  # without locks other things go wrong too, and each ends the search
        assert any(sign in one for sign in signs for one in world.broken), world.broken


def test_without_the_row_locks_alone_a_broken_chain_of_moves_is_noticed(tmp_path, postgres_url):
    """Only ``select_for_update`` is taken out; every index and constraint of the database stays."""
    with a_world(tmp_path, postgres_url, unlocked=True) as world:
        machine = type("MeetingsHere", (Meetings,), {"world": world})()
        for _ in range(200):
            machine.two_move_it_at_once(room=0)
            with suppress(AssertionError):
                machine.moves_are_a_chain_that_ends_where_the_room_is()
            if any("was moved from" in one for one in world.broken):
                break
        assert any("was moved from" in one for one in world.broken), world.broken
