"""The update of an installation, and the way back when the new version is not well.

The program lies in one folder, its environment, whether a Debian package, pipx, pip or a checkout
has put it there. Before an update this folder is kept beside itself, with the units; to go back is
to give it its name again. Meanwhile another program answers senders when the service does not.
"""

import importlib.util
import os
import pwd
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

import flask10x
from flask10x.config import settings as settings_module
from flask10x.config.settings import CHECKOUT
from flask10x.errors import CommandFailed, ServiceError
from flask10x.maintenance import installation, stand_in
from flask10x.maintenance.installation import Command, Say, own_command, run
from flask10x.system import backup_files, units
from flask10x.system.units import Place

NAME = "flask10x"
# What is installed beside it, and by which of its modules one sees that.
LOCKS = {
    "requirements.lock": NAME,
    "requirements-mqtt.lock": "paho",
    "requirements-alerts.lock": "apprise",
    "requirements-postgres.lock": "psycopg",
}
PACKAGED_FILES = Path("/var/lib/dpkg/info/flask10x.list")
# Beside the service, with its port. Should the update be killed, it ends by itself.
STAND_IN = "flask10x-stand-in.service"
STAND_IN_TEXT = """[Unit]
Description=Flask10X, answers to senders during an update
[Service]
Sockets={socket}
ExecStart="{python}" -I "{script}"
RuntimeMaxSec=1h
{user}
"""
# A service that has just been started may not have answered yet, or still be catching up.
SETTLED_WITHIN_SEC = 30.0
LOOK_PAUSE_SEC = 2.0


@dataclass(frozen=True)
class Environment:
    """A virtual environment, into which pip installs."""

    prefix: Path
    name: str = ""
    """How the program was installed, for people."""

    @property
    def former(self) -> Path:
        """Return the folder in which the former environment is kept."""
        return self.prefix.with_name(f"{self.prefix.name}.former")

    def keep(self, place: Place, say: Say) -> None:
        """Keep what is installed, so that `put_back` needs no network."""
        say(_("keeps the version that is there in {folder}").format(folder=self.former))
        shutil.rmtree(self.former, ignore_errors=True)
        shutil.copytree(self.prefix, self.former, symlinks=True, copy_function=_linked)
        kept_units = self.former / "units"
        kept_units.mkdir()
        for path in _units(place.units):
            shutil.copy2(path, kept_units)
        # Folders were made by root, but belong to whom the environment belongs.
        owner = self.prefix.stat()
        if owner.st_uid != os.geteuid():
            for folder, _folders, files in os.walk(self.former):
                for name in (".", *files):
                    os.chown(Path(folder, name), owner.st_uid, owner.st_gid, follow_symlinks=False)

    def renew(self, target: str, say: Say) -> None:
        """Install the target, or the newest version where it is empty; raises CommandFailed."""
        self._pip(say, "--upgrade", target or NAME)

    def put_back(self, place: Place, say: Say) -> None:
        """Put environment and units back as they were kept; raises CommandFailed."""
        failed = self.prefix.with_name(f"{self.prefix.name}.failed")
        shutil.rmtree(failed, ignore_errors=True)
        for source, target in ((self.prefix, failed), (self.former, self.prefix)):
            say(f"$ mv {source} {target}")
            source.rename(target)
        shutil.rmtree(failed, ignore_errors=True)
        kept_units = self.prefix / "units"
        for path in _units(place.units):
            if not (kept_units / path.name).exists():
                run(say, Command(place.systemctl("disable", "--now", path.name)))
                path.unlink()
        for path in _units(kept_units):
            installation.write(place.units / path.name, path.read_text(), installation.UNIT_MODE)
        shutil.rmtree(kept_units)
        run(say, Command(place.systemctl("daemon-reload")))

    def _pip(self, say: Say, *words: str) -> None:
        python = str(self.prefix / "bin" / "python")
        run(say, Command([python, "-m", "pip", "install", "--quiet", *words], _owner(self.prefix)))


class Pipx(Environment):
    """An environment that pipx looks after: it has one folder for all of them."""

    @property
    def former(self) -> Path:
        # Beside the others, pipx would list it.
        return self.prefix.parents[1] / f"{NAME}.former"

    def renew(self, target: str, say: Say) -> None:
        words = ["install", "--force", target] if target else ["upgrade", NAME]
        own = (self.prefix / "bin" / NAME).resolve()
        folders = [*os.environ.get("PATH", "").split(":"), "/usr/local/bin"]
        programs = str(Path(pwd.getpwnam(_owner(self.prefix)).pw_dir, ".local", "bin"))
        for folder in filter(None, folders):
            link = Path(folder, NAME)
            # One of root's may not be entered, as after `su`.
            with suppress(PermissionError):
                if link.is_symlink() and link.resolve() == own:
                    programs = folder
                    break
        environment = {"PIPX_HOME": str(self.prefix.parents[1]), "PIPX_BIN_DIR": programs}
        run(say, Command(["pipx", *words], _owner(self.prefix), environment))


@dataclass(frozen=True)
class Checkout(Environment):
    """A clone of the repository, with the environment that was made for it."""

    folder: Path = CHECKOUT

    def keep(self, place: Place, say: Say) -> None:
        super().keep(place, say)
        commit = self._git("rev-parse", "HEAD").output().strip()
        (self.former / "units" / "commit").write_text(f"{commit} {self._branch()}")

    def renew(self, target: str, say: Say) -> None:
        run(say, self._git("fetch", "--tags"))
        if not target and not self._branch():
            tags = self._git("tag", "--list", "v*", "--sort=-version:refname").output().split()
            if not tags:
                text = _(
                    "{folder} follows no branch, and its repository has no tag: name a version"
                )
                raise CommandFailed(text.format(folder=self.folder))
            target = tags[0]
        if target:
            run(say, self._git("checkout", "--quiet", target))
        if self._branch():
            run(say, self._git("merge", "--ff-only", "@{upstream}"))
        run(say, Command(["make", "-C", str(self.folder), "static"], _owner(self.folder)))
        for lock, module in LOCKS.items():
            if (self.folder / lock).is_file() and importlib.util.find_spec(module) is not None:
                self._pip(say, "--require-hashes", "--requirement", str(self.folder / lock))
        source = ["--editable"] if self.folder == CHECKOUT else []
        self._pip(say, "--no-deps", "--no-build-isolation", *source, str(self.folder))

    def put_back(self, place: Place, say: Say) -> None:
        commit, _space, branch = (self.former / "units" / "commit").read_text().partition(" ")
        if branch and branch != self._branch():
            run(say, self._git("checkout", "--quiet", branch))
        run(say, self._git("reset", "--quiet", "--keep", commit))
        super().put_back(place, say)

    def _branch(self) -> str:
        """Return the branch that is followed; "" where a tag or a commit was checked out."""
        return self._git("symbolic-ref", "--quiet", "--short", "HEAD").output().strip()

    def _git(self, *words: str) -> Command:
        return Command(["git", "-C", str(self.folder), *words], _owner(self.folder))


class Package(Environment):
    """The environment of a Debian package, which brings its units.

    After a return dpkg still names the version that was not well; so apt does not bring that again.
    """

    def renew(self, target: str, say: Say) -> None:
        if not target:
            run(say, Command(["apt-get", "update"]))
        # A file is one by its slash. What is named is installed, whatever dpkg names.
        file = ["--reinstall", "--allow-downgrades", str(Path(target).resolve())]
        # Else deploy/debian/preinst makes a second backup, postinst restarts the service while apt
        # has more to do, and dpkg asks about the settings.
        keep = ["-o", "Dpkg::Options::=--force-confold"]
        environment = {"DEBIAN_FRONTEND": "noninteractive", "UPDATE_WITHOUT_BACKUP": "1"}
        environment["UPDATE_WITHOUT_RESTART"] = "1"
        words = ["apt-get", *keep, "install", "--yes", *(file if target else [NAME])]
        run(say, Command(words, environment=environment))


def environment() -> Environment:
    """Return how this program was installed; raises ServiceError if it has no update."""
    prefix = Path(sys.prefix)
    with suppress(OSError):
        if str(units.program()) in PACKAGED_FILES.read_text(encoding="utf-8").splitlines():
            return Package(prefix, _("a Debian package"))
    if (prefix / "pipx_metadata.json").is_file():
        return Pipx(prefix, _("pipx, in {folder}").format(folder=prefix))
    for folder in (CHECKOUT, prefix.parent):
        if (folder / "flask10x" / "__init__.py").is_file() and (
            folder / "pyproject.toml"
        ).is_file():
            if not (folder / ".git").exists():
                text = _(
                    "{folder} is no clone of git: docs/en/howto/update.md says how to update it"
                )
                raise ServiceError(text.format(folder=folder))
            return Checkout(prefix, _("a checkout, in {folder}").format(folder=folder), folder)
    if sys.prefix == sys.base_prefix:
        text = _("{program} is in no virtual environment: update it as you have installed it")
        raise ServiceError(text.format(program=units.program()))
    return Environment(prefix, _("pip, in {folder}").format(folder=prefix))


def update(place: Place, target: str, say: Say) -> bool:
    """Bring the installation to the target; return whether it is there.

    False means that the former version runs again. Raises CommandFailed or ServiceError when
    nothing was changed, or when the former version could not be brought back, which is said.
    """
    program = environment()
    require_rights(place, "update")
    say(_("{way}, version {version}").format(way=program.name, version=flask10x.__version__))
    wrong_before = installation.failures(place)
    for name, text in wrong_before.items():
        say(_("FAIL already before the update: {name}: {text}").format(name=name, text=text))
    revision = _revision(place)
    run(say, Command(place.systemctl("start", units.BACKUP)))
    program.keep(place, say)
    with _standing_in(place, say):
        try:
            program.renew(target, say)
            if place.units != units.PACKAGED_UNITS:
                scope = ["--user"] if place.is_user else []
                words = [str(units.program()), "service", "install", "--no-start", *scope]
                run(say, Command(words))
            installation.start_service(place, say)
            wrong = _wrong_since(place, wrong_before)
        except CommandFailed as error:
            wrong = {NAME: str(error)}
        for name, text in wrong.items():
            say(_("FAIL since the update: {name}: {text}").format(name=name, text=text))
        if wrong:
            try:
                _go_back(place, program, revision, say)
            except CommandFailed as error:
                text = _(
                    "{error}; the former version could not be installed again; it is still there,"
                    " as is the backup that was made first: docs/en/howto/update.md,"
                    ' "If it does not work"'
                )
                raise CommandFailed(text.format(error=error)) from error
    return not wrong


@contextmanager
def _standing_in(place: Place, say: Say) -> Iterator[None]:
    """While the block runs, answer what the service leaves waiting, where systemd holds its port.

    As it is active, no reading starts the service, either, while that is stopped.
    """
    if units.property_of(place, units.SOCKET, "ActiveState") != "active":
        yield
        return
    unit, script = place.runtime_units / STAND_IN, place.runtime_units / "flask10x-stand-in.py"
    place.runtime_units.mkdir(parents=True, exist_ok=True)
    # What runs this is exchanged, too.
    shutil.copyfile(stand_in.__file__, script)
    # Whatever the umask of who updates: the user of the service reads the program.
    script.chmod(installation.UNIT_MODE)
    text = STAND_IN_TEXT.format(
        socket=units.SOCKET,
        python=Path(sys.executable).resolve(),
        script=script,
        user="" if place.is_user else f"User={place.account}",
    )
    installation.write(unit, text, installation.UNIT_MODE)
    try:
        run(say, Command(place.systemctl("daemon-reload")))
        run(say, Command(place.systemctl("start", STAND_IN)))
        yield
    finally:
        unit.unlink()
        script.unlink()
        run(say, Command(place.systemctl("stop", STAND_IN)))
        run(say, Command(place.systemctl("daemon-reload")))


def _go_back(place: Place, program: Environment, revision: str, say: Say) -> None:
    """Stop the new version, bring program and database back to the former one, and start that."""
    say(_("installs version {version} again").format(version=flask10x.__version__))
    run(say, Command(place.systemctl("stop", units.SERVICE)))
    # The new version knows how; it may be too broken for that.
    with suppress(CommandFailed):
        if _revision(place) != revision:
            run(say, own_command(place, "migrate", "--back-to", revision))
    program.put_back(place, say)
    backups = backup_files.finished(settings_module.load().backup_dir)
    if _revision(place) != revision and backups:
        try:
            run(say, own_command(place, "restore", str(backups[-1])))
        except CommandFailed:
            # Its status 4 says that a file names rows which it could not take.
            if _revision(place) != revision:
                raise
    installation.start_service(place, say)


def _wrong_since(place: Place, before: dict[str, str]) -> dict[str, str]:
    """Return the failures that the former version did not have, once the service has settled."""
    until = time.monotonic() + SETTLED_WITHIN_SEC
    while True:
        # It ran, for its start was waited for: it will not get well, and senders wait.
        if units.property_of(place, units.SERVICE, "ActiveState") != "active":
            text = _("it does not run; why: {command}")
            return {units.SERVICE: text.format(command=place.journal())}
        try:
            wrong = {n: t for n, t in installation.failures(place).items() if n not in before}
        except CommandFailed as error:
            wrong = {NAME: str(error)}
        if not wrong or time.monotonic() > until:
            return wrong
        time.sleep(LOOK_PAUSE_SEC)


def _revision(place: Place) -> str:
    """Return the version of the database; "" where there is none yet."""
    findings = installation.checked(place)["findings"]
    return next((f["details"].get("revision") or "" for f in findings if f["name"] == "schema"), "")


def require_rights(place: Place, word: str) -> None:
    """Raise ServiceError where this user may not change the service."""
    if not place.is_user and os.geteuid() != 0:
        text = _("only root may do this: {command}")
        raise ServiceError(text.format(command=place.own("service", word)))


def _units(folder: Path) -> list[Path]:
    """Return the files of our units in a folder."""
    return sorted(path for path in folder.glob("flask10x*") if path.suffix in units.KINDS)


def _owner(path: Path) -> str:
    """Return the owner of a folder, who could not change what root makes in it."""
    return pwd.getpwuid(path.stat().st_uid).pw_name


def _linked(source: str, target: str) -> None:
    """A second name of a file, which takes no space; a copy where there can't be one.

    Libraries are replaced as whole files; what is beside them, as the notes of pipx, is written
    again in its place.
    """
    with suppress(OSError):
        if "site-packages" in source:
            os.link(source, target, follow_symlinks=False)
            return
    shutil.copy2(source, target, follow_symlinks=False)
