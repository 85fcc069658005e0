"""A station for a board that does not send yet: board and sensors, the station, the program."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from flask import Response, abort, request

from flask10x.config import house, station_file
from flask10x.config.station_keys import ENDPOINT, ENDPOINT_NEEDED
from flask10x.errors import SettingsError
from flask10x.readings.labels import station_name
from flask10x.translation import Translation
from flask10x.web import context, preferences, sensors
from flask10x.web.files import download
from flask10x.web.ingest.unknown_station import can_be_endpoint
from flask10x.web.pages.setup import changes, stations
from flask10x.web.pages.setup.page import blueprint, shown
from flask10x.web.pages.setup.stations import UNITS, Candidate
from flask10x.web.programs import Target, address
from flask10x.web.sensors import BOARDS, MOST_VALUES, SENSORS, Sensor


@dataclass(frozen=True, slots=True)
class Board:
    """A board with sensors and the path to which it is to send."""

    kind: str
    """A key of BOARDS."""
    sensors: list[Sensor]
    path: str

    @property
    def candidate(self) -> Candidate | None:
        """What its station would be."""
        body = json.dumps(sensors.body_of(self.kind, self.sensors)).encode()
        return stations.of_body(self.path, body)

    @property
    def fields(self) -> dict[str, str]:
        """Those of the form of the station that a body does not tell."""
        topic = BOARDS[self.kind].topic.format(name=self.path)
        fields = {"mqtt_topic": topic} if topic else {}
        # One sensor that fails is no reason to refuse the others.
        return fields | ({"partial": "accept"} if len(self.sensors) > 1 else {})


def chosen(fields: Mapping[str, str]) -> dict[str, str]:
    """Return board and sensors of a form, as it carries them; empty where it has none."""
    if fields.get("board") not in BOARDS:
        return {}
    counts = {kind: fields[kind] for kind in SENSORS if fields.get(kind, "0").strip(" 0")}
    return {"board": fields["board"]} | counts


@blueprint.get("/setup/new-station")
def as_board() -> tuple[str, int]:
    """Choose a board and its sensors; then the station as a form, and once added the program."""
    t = preferences.texts()
    problems, board = _read(request.args, t)
    path = stations.file_of(context.store().settings)
    is_added = False
    if board and "added" in request.args:
        # This worker may not have heard of it yet.
        with suppress(OSError, SettingsError):
            is_added = board.path in station_file.load(path).by_endpoint
    candidate = board.candidate if board and not is_added else None
    if board and not is_added and candidate is None:
        problems["path"] = t("there is a station {name} already", name=board.path)
    fields = stations.fields_of(candidate) | board.fields if board and candidate else {}
    return shown(
        "setup/board.html",
        boards=BOARDS,
        kinds=SENSORS,
        args=request.args,
        problems=problems,
        board=board if candidate or is_added else None,
        is_added=is_added,
        candidate=candidate,
        fields=fields,
        units=UNITS,
        is_named=stations.is_named,
        chosen=chosen(request.args),
        seen=changes.seen(house.present(path)),
        escape=str,
        file=path,
        text=_program(board, t) if board and is_added else "",
        wires=list(sensors.wires(board.kind, board.sensors)) if board and is_added else [],
    )


@blueprint.get("/setup/new-station/program")
def as_program() -> Response:
    """The program of the board with these sensors, to download; 404 for what is none."""
    t = preferences.texts()
    problems, board = _read(request.args, t)
    if problems or board is None:
        abort(404)
    name = BOARDS[board.kind].file.format(name=board.path)
    answer = download(_program(board, t), "text/plain; charset=utf-8", name)
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def _program(board: Board, t: Translation) -> str:
    settings = context.store().settings
    station = settings.stations.by_endpoint.get(board.path)
    label = station_name(station, t) if station else board.path
    target = Target(board.path, label, *address(request.host))
    return sensors.program(board.kind, board.sensors, target, settings, t)


def _read(args: Mapping[str, str], t: Translation) -> tuple[dict[str, str], Board | None]:
    """What is wrong by field, and the board; None where something is, or nothing was sent yet."""
    if not args.get("board") and "path" not in args:
        return {}, None
    problems: dict[str, str] = {}
    kind, path = args.get("board", ""), args.get("path", "").strip().removeprefix("/")
    if kind not in BOARDS:
        problems["board"] = t("choose one")
    if reason := _wrong_path(path, t):
        problems["path"] = reason
    counts = {name: _count(name, args, problems, t) for name in SENSORS}
    for name, sensor in SENSORS.items() if kind == "tasmota" else ():
        if counts[name] and not sensor.tasmota:
            problems[name] = t("Tasmota sends no number of it; ESPHome does")
        elif counts[name] > 1 and name != "ds18b20":
            problems[name] = t("only one of them has a name that is known beforehand")
    if not any(counts.values()) and not problems.keys() & SENSORS.keys():
        problems["sensors"] = t("choose at least one sensor")
    if sum(len(SENSORS[name].values) * count for name, count in counts.items()) > MOST_VALUES:
        problems["sensors"] = t("a station has {n} measurements at most", n=MOST_VALUES)
    return problems, None if problems else Board(kind, sensors.sensors_of(counts), path)


def _wrong_path(path: str, t: Translation) -> str:
    if can_be_endpoint(path):
        return ""
    if ENDPOINT.fullmatch(path):
        return t("/{name} is an address of the service", name=path)
    right = stations.proposed_endpoint(path)
    needed = t(ENDPOINT_NEEDED)
    return t("{needed}: {name}", needed=needed, name=right) if can_be_endpoint(right) else needed


def _count(name: str, args: Mapping[str, str], problems: dict[str, str], t: Translation) -> int:
    text, most = args.get(name, "").strip() or "0", SENSORS[name].most
    if not re.fullmatch("[0-9]{1,2}", text) or int(text) > most:
        problems[name] = t("a number from 0 to {n} is needed", n=most)
        return 0
    return int(text)
