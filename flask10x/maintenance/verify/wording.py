"""What `flask10x verify` has found, in words: for the terminal, the log and the notes."""

from collections.abc import Iterable
from typing import get_args

from flask10x.config.settings import Settings
from flask10x.database.verified import Copy, Difference, Whole
from flask10x.export import only_copies
from flask10x.readings.labels import station_name
from flask10x.readings.times import local_text
from flask10x.translation import N_, Translation, translation

COPIES: dict[Copy, str] = {
    "table": N_("the table"),
    "index": N_("the index of the table"),
    "hours": N_("the hourly totals"),
    "days": N_("the daily totals"),
    "csv": N_("the CSV file"),
    "backup": N_("the backup"),
}
LEFT_OUT = {
    "interrupted": N_("an export into it was interrupted; the next one repairs it"),
    "zone": N_("it is in another time zone"),
    "out_of_step": N_("it is another file than the database has; see flask10x export --verify"),
}
"""Why the lines of a CSV file are not compared."""
# By the name of what is out of order.
TREES = {
    "rollups": N_("The hourly totals are out of order in the database."),
    "rollup_days": N_("The daily totals are out of order in the database."),
}


class Words:
    """Words differences in one language; without one in that of the messages of alerts."""

    def __init__(self, settings: Settings, t: Translation | None = None) -> None:
        self._settings = settings
        self._t = t or translation(settings.alerts.language)

    def difference(self, difference: Difference) -> str:
        """Return where copies differ, what each has, and which is wrong."""
        t = self._t
        if difference.kind == "lost":
            return only_copies.lost_of(difference).with_command(self._settings, t)
        if difference.kind in get_args(Whole):
            return t.sentences([self._whole(difference), *self._outcome(difference)])
        values = t.listed(
            t("{copy}: {value}", copy=self._copy(name), value=value)
            for name, value in difference.values.items()
            if value
        )
        place = self._place(difference)
        what = t("{place}: they differ ({values}).", place=place, values=values)
        return t.sentences([what, *self._outcome(difference)])

    def left_out(self, endpoint: str, reason: str) -> str:
        """Return that the lines of a station's file, or a backup, were not compared, and why."""
        if reason not in LEFT_OUT:
            return self._t("This backup was not compared: {reason}.", reason=reason)
        station = self._settings.stations.by_endpoint.get(endpoint)
        name = station.csv_name if station else endpoint
        return self._t(
            "{name}: its lines were not compared: {reason}",
            name=name,
            reason=self._t(LEFT_OUT[reason]),
        )

    def repaired(self, difference: Difference) -> str:
        """Return the text of the note that this was repaired."""
        t, copies = self._t, self._copies(name for name in difference.wrong if name != "backup")
        if difference.kind != "reading" or not difference.right:
            return t("Repaired by flask10x verify: {copies} had changed.", copies=copies)
        return t(
            "Repaired by flask10x verify: {copies} had changed; it is again {right}"
            " (reading {id}).",
            copies=copies,
            right=difference.right,
            id=difference.number,
        )

    def accepted(self, difference: Difference) -> str:
        """Return the text of the note that this is right as the table has it."""
        value = difference.values.get("table", "–")
        return self._t("Accepted with flask10x verify: {value}.", value=value)

    def _copy(self, name: str) -> str:
        return self._t(COPIES[name]) if name in COPIES else name

    def _whole(self, difference: Difference) -> str:
        """Return what is wrong with a copy as a whole."""
        t, path = self._t, difference.path
        if difference.kind == "tree":
            return t(TREES.get(path, N_("The index of the readings is out of order.")))
        if difference.kind == "backup":
            return t("{path}: the backup has changed since it was made.", path=path)
        if difference.kind == "file":
            return t("{path}: the file is not as the last export has left it.", path=path)
        reason = difference.values.get("table", "")
        return t("Could not be compared ({name}): {reason}.", name=path, reason=reason)

    def _place(self, difference: Difference) -> str:
        t, at_ms = self._t, difference.at_ms
        station = self._settings.stations.by_endpoint.get(difference.station)
        name = station_name(station, t) if station else f"/{difference.station}"
        time = "–" if at_ms is None else local_text(at_ms, self._settings.zone)
        if difference.kind == "line":
            return t(
                "{path}: a line that the table has no reading for (perhaps {id})",
                path=difference.path,
                id=difference.number,
            )
        if difference.kind == "kept":
            return t("{station}, sums of removed readings, hour of {time}", station=name, time=time)
        if difference.kind == "hour":
            return t("{station}, hour of {time}", station=name, time=time)
        if difference.kind == "day":
            return t("{station}, day of {date}", station=name, date=time[:10])
        return t("{station}, reading {id} of {time}", station=name, id=difference.number, time=time)

    def _outcome(self, difference: Difference) -> list[str]:
        t, kind, wrong = self._t, difference.kind, difference.wrong
        if difference.is_repaired:
            done = t("Wrong: {copies}; repaired.", copies=self._copies(wrong))
            return [done if wrong else t("It no longer differs.")]
        if kind == "unreadable":
            return [
                t(
                    "If the database itself is damaged, stop the service, keep the files and"
                    " restore a backup: flask10x restore."
                )
            ]
        if kind == "backup" or wrong == ("backup",):
            return [t("Do not rely on it, and make a new one: flask10x backup.")]
        if kind == "file" and not difference.right:
            return [t("The table does not give it as it was; see flask10x export --verify.")]
        if not wrong:
            said = [t("It cannot be said which is wrong.")]
            if kind in ("reading", "line"):
                command = f"flask10x verify --accept {difference.number}"
                said.append(t("Where the table is right: {command}", command=command))
            elif kind == "hour":
                said.append(t("Where the readings are right: flask10x rollups --rebuild"))
            return said
        said = [t("Wrong: {copies}.", copies=self._copies(wrong))]
        if "index" in wrong:
            said.append(
                t("With the service stopped, flask10x verify --repair makes the index again.")
            )
        return said

    def _copies(self, names: Iterable[Copy]) -> str:
        return self._t.listed(map(self._copy, names))
