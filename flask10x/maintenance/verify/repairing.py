"""Puts the right value back: into the table, the roll-ups and the CSV files; never into a backup.

Each repair looks again before it writes, and is one transaction, or one rename of a whole file. A
replica is renewed: Litestream carries a whole new copy.
"""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, column, table, update

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, dialects, engines
from flask10x.database.database import all_rows
from flask10x.database.expressions import upsert
from flask10x.database.paths import database_path
from flask10x.database.running_service import running
from flask10x.database.sqlite import litestream
from flask10x.database.tables import readings, rollup_days, rollups
from flask10x.database.verified import Difference
from flask10x.errors import Flask10xError
from flask10x.export.file import CsvFile, fresh_path
from flask10x.history import annotations, days
from flask10x.history import rollups as follower
from flask10x.history.annotations import WrittenNote
from flask10x.history.sums import stored_sums
from flask10x.maintenance import replica
from flask10x.maintenance.verify.comparing import (
    Copies,
    Row,
    columns_of,
    in_a_line,
    remove_replica,
    rows_query,
)
from flask10x.maintenance.verify.judging import Judge, Judgement, Replacement
from flask10x.maintenance.verify.wording import Words
from flask10x.readings.times import HOUR_MS, zone_of
from flask10x.system import disk
from flask10x.system.clock import now_ms

# With more notes than these a chart is not readable; the log has them all.
NOTES_MAX = 20


class _NotRepairedError(Exception):
    """The reading is not as it should be after the change, which is undone."""


def needs_renewal(difference: Difference) -> bool:
    """Whether the replica is wrong; where the table is, too, its repair is carried there."""
    return "replica" in difference.wrong and "table" not in difference.wrong


def can_renew(settings: Settings) -> bool:
    """Whether a new copy may be carried now: not beside a Litestream that does so, too."""
    if not engines.of(settings).is_file:
        return False
    state = litestream.replica_of(database_path(settings))
    return state is None or not state.is_running


@dataclass(slots=True)
class Repairs:
    """Repairs what can be repaired, one difference after the other."""

    copies: Copies
    judge: Judge
    notes: int = 0
    failure: str = ""
    """Why no new copy could be carried to the replica."""

    def all(self, judgements: Sequence[Judgement]) -> list[Difference]:
        """Return the differences, those that are repaired now marked so."""
        files = self._files(judgements)
        differences = [self._one(each, files) for each in judgements]
        # At the end, so that what was repaired is carried, too.
        if not any(map(needs_renewal, differences)) or not self._renews_replica():
            return differences
        return [self._with_replica(each) for each in differences]

    def _one(self, judgement: Judgement, files: set[str]) -> Difference:
        difference = judgement.difference
        is_repaired = False
        if difference.kind == "reading":
            in_table = bool({"table", "index"} & {*difference.wrong})
            in_file = "csv" in difference.wrong
            done = [self._reading(judgement)] if in_table else []
            done += [difference.station in files] if in_file else []
            # A backup is named, and stays as it is; a replica comes last.
            is_repaired = bool(done) and all(done)
        elif difference.kind == "hour" and difference.wrong:
            is_repaired = self._hour(difference)
        elif difference.kind == "day" and difference.wrong:
            is_repaired = self._day(difference)
        elif difference.kind == "file" and difference.right:
            is_repaired = difference.station in files
        return replace(difference, is_repaired=is_repaired)

    # ------------------------------------------------------------------------- the replica

    def _with_replica(self, difference: Difference) -> Difference:
        """Return the difference, marked as repaired where only the replica was left."""
        others = {*difference.wrong} - {"replica", "backup"}
        is_left = needs_renewal(difference) and not others
        return replace(difference, is_repaired=difference.is_repaired or is_left)

    def _renews_replica(self) -> bool:
        """Have a whole new copy carried to the replica, and see that it can be restored."""
        settings = self.copies.settings
        if not can_renew(settings):
            return False
        try:
            source = replica.configured(settings)
            if source is None:
                return False
            source.renew(database_path(settings))
            remove_replica(settings)
            source.copy(replica.compared_folder(settings))
        except (Flask10xError, OSError) as error:
            self.failure = in_a_line(error)
            return False
        return True

    # ------------------------------------------------------------------------- the table

    def _reading(self, judgement: Judgement) -> bool:
        """Set the wrong columns of the reading, unless it has changed since it was judged.

        An index with a wrong entry is made from the table, while no service has readings to store.
        """
        number, stored, right = judgement.difference.number, judgement.stored, judgement.right
        if right is None or self.judge.row(number) != stored:
            return False
        has_wrong_entry = "index" in judgement.difference.wrong
        if has_wrong_entry and running(self.copies.settings) is not None:
            return False

        def change(connection: Connection) -> None:
            statements = dialects.of(connection)
            with statements.changes_rotten_rows(connection):
                if changed := {n: right[n] for n in right if right[n] != stored.get(n)}:
                    _set(connection, number, changed)
            if has_wrong_entry:
                statements.rebuild_index(connection)
            names = columns_of(connection)
            rows = all_rows(connection, rows_query(names, number - 1, number))
            is_right = bool(rows) and dict(zip(names, rows[0][1:], strict=True)) == right
            if not is_right or statements.readings_out_of_index(connection, number - 1, number):
                raise _NotRepairedError
            self._note(connection, judgement.difference)

        try:
            self.copies.database.commit_change(change)
        except _NotRepairedError:
            return False
        return True

    def _noted(self, difference: Difference, connection: Connection) -> None:
        self._note(connection, difference)

    def _note(self, connection: Connection, difference: Difference) -> None:
        """Note in the history what was repaired, in the language of the messages."""
        at_ms, words = difference.at_ms, Words(self.copies.settings)
        if at_ms is None or self.notes >= NOTES_MAX:
            return
        if not annotations.has_room(connection, "note"):
            return
        self.notes += 1
        last_ms = at_ms + (HOUR_MS - 1 if difference.kind == "hour" else 0)
        note = WrittenNote(
            endpoint=difference.station,
            first_ms=at_ms,
            last_ms=last_ms,
            text=words.repaired(difference),
            written_at=now_ms(),
        )
        annotations.add(connection, note)

    # ------------------------------------------------------------------------- the roll-ups

    def _hour(self, difference: Difference) -> bool:
        """Store what the readings of the hour give."""
        station = self.copies.settings.stations.by_endpoint[difference.station]

        def change(connection: Connection) -> None:
            last = follower.position(connection)
            stated = follower.computed(station, connection, difference.number, last)
            stored = stored_sums(connection, station, rollups.c.hour, difference.number)
            if changed := [row for row in stated if row not in stored]:
                with dialects.of(connection).changes_rotten_rows(connection):
                    connection.execute(upsert(rollups), changed)
            self._note(connection, difference)

        self.copies.database.commit_change(change)
        return True

    def _day(self, difference: Difference) -> bool:
        """Store what the hours of the day give."""
        station = self.copies.settings.stations.by_endpoint[difference.station]
        done = False

        def change(connection: Connection) -> None:
            nonlocal done
            made = days.made(connection)
            zone = None if made is None or not made.are_all else zone_of(made.zone)
            if zone is None:
                return
            maker = days.DayMaker(connection, zone, follower.position(connection))
            stated = maker.rows(station, difference.number)
            stored = stored_sums(connection, station, rollup_days.c.day, difference.number)
            if changed := [row for row in stated if row not in stored]:
                with dialects.of(connection).changes_rotten_rows(connection):
                    connection.execute(upsert(rollup_days), changed)
            self._note(connection, difference)
            done = True

        self.copies.database.commit_change(change)
        return done

    # ------------------------------------------------------------------------- CSV files

    def _files(self, judgements: Sequence[Judgement]) -> set[str]:
        """Repair the files of the stations, and return those that are as they were exported.

        The caller holds the lock `export`.
        """
        wrong = {
            each.difference.station: each.difference
            for each in judgements
            if "csv" in each.difference.wrong
            and each.difference.station
            and each.difference.kind != "lost"
        }
        done = set()
        csv_owner.check(self.copies.settings, self.copies.database)
        for station, difference in wrong.items():
            replaced = self.judge.replacements(station, judgements)
            if not replaced:
                continue
            _rewrite(self.judge.path_of(station), replaced)
            done.add(station)
            self.copies.database.commit_change(partial(self._noted, difference))
        return done


def _set(connection: Connection, number: int, values: Row) -> None:
    """Set these columns of a reading, also those that only this installation has."""
    rows = table(readings.name, column("id"), *map(column, values))
    connection.execute(update(rows).where(rows.c.id == number).values(values))


def _rewrite(path: Path, replaced: Sequence[Replacement]) -> None:
    """Write the file with these bytes replaced, and give it the name of the old one."""
    unfinished = fresh_path(path)
    unfinished.unlink(missing_ok=True)
    old = CsvFile.open(path, write=False)
    if old is None:
        return
    try:
        with closing(old), open(unfinished, "xb") as file:
            disk.leave_to_same_owner(file.fileno(), path.stat())
            offset = 0
            for part in sorted(replaced, key=lambda each: each.offset):
                for block in old.blocks(offset, part.offset):
                    file.write(block)
                file.write(part.text)
                offset = part.offset + part.length
            for block in old.blocks(offset, old.size):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path.resolve())
        disk.sync(path.resolve().parent)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
