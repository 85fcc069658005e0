"""The update of an installation, and the way back when the new version is not well.

Each way of installation has its commands: a Debian package, a checkout of git, pipx, a virtual
environment with pip. The steps are the same: a backup, the new version, the start with its
migration, `flask10x check`. What fails then that did not fail before brings the former version
back, with the database as it knows it.
"""

import importlib.util
import os
import pwd
import re
import shutil
import sys
import tempfile
import time
from abc import ABC, abstractmethod
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
# The lists of dpkg, and where a package that is rebuilt of them is kept.
DPKG = Path("/var/lib/dpkg/info")
KEPT_FILES = ("conffiles", "preinst", "postinst", "prerm", "postrm", "templates", "triggers")
KEPT_PACKAGES = Path("/var/lib/flask10x-known/former")
# What runs in the place of the service until this is removed: nothing of its environment, which is
# exchanged meanwhile.
STAND_IN = """[Service]
Type=simple
ExecStart=
ExecStart="{python}" -I "{script}"
ExecReload=
WatchdogSec=0
"""
# A service that has just been started may not have answered yet, or still be catching up.
SETTLED_WITHIN_SEC = 30.0
LOOK_PAUSE_SEC = 2.0


class Way(ABC):
    """How this program was installed, and with what it is renewed and put back."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The way, for people."""

    @abstractmethod
    def keep(self, say: Say) -> None:
        """Keep the version that is there, so that `put_back` needs no network."""

    @abstractmethod
    def renew(self, target: str, say: Say) -> None:
        """Install the target, or the newest version where it is empty; raises CommandFailed."""

    @abstractmethod
    def put_back(self, say: Say) -> None:
        """Install what `keep` has kept; raises CommandFailed."""

    @property
    def writes_units(self) -> bool:
        """Whether the units come from the program, and not with its package."""
        return True


@dataclass(frozen=True)
class Environment(Way):
    """A virtual environment, of which a second one of hard links is kept beside it."""

    prefix: Path

    @property
    def name(self) -> str:
        return _("pip, in {folder}").format(folder=self.prefix)

    @property
    def kept(self) -> Path:
        """Where the former environment is."""
        return self.prefix.with_name(f"{self.prefix.name}.former")

    def keep(self, say: Say) -> None:
        say(_("keeps the version that is there in {folder}").format(folder=self.kept))
        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(self.prefix, self.kept, symlinks=True, copy_function=_linked)
        _give_like(self.prefix, self.kept)

    def renew(self, target: str, say: Say) -> None:
        self._pip(say, "--upgrade", target or NAME)

    def put_back(self, say: Say) -> None:
        failed = self.prefix.with_name(f"{self.prefix.name}.failed")
        shutil.rmtree(failed, ignore_errors=True)
        say(f"$ mv {self.prefix} {failed}")
        self.prefix.rename(failed)
        say(f"$ mv {self.kept} {self.prefix}")
        self.kept.rename(self.prefix)
        shutil.rmtree(failed, ignore_errors=True)

    def _pip(self, say: Say, *words: str) -> None:
        python = str(self.prefix / "bin" / "python")
        run(say, Command([python, "-m", "pip", "install", "--quiet", *words], _owner(self.prefix)))


@dataclass(frozen=True)
class Pipx(Environment):
    """An environment that pipx looks after: it has one folder for all of them."""

    @property
    def name(self) -> str:
        return _("pipx, in {folder}").format(folder=self.prefix)

    @property
    def kept(self) -> Path:
        # Beside the others, pipx would list it.
        return self.prefix.parents[1] / f"{NAME}.former"

    def renew(self, target: str, say: Say) -> None:
        words = ["install", "--force", target] if target else ["upgrade", NAME]
        environment = {"PIPX_HOME": str(self.prefix.parents[1]), "PIPX_BIN_DIR": self._programs()}
        run(say, Command(["pipx", *words], _owner(self.prefix), environment))

    def _programs(self) -> str:
        """The folder with the link to the program."""
        own = (self.prefix / "bin" / NAME).resolve()
        folders = [*os.environ.get("PATH", "").split(":"), "/usr/local/bin"]
        folders.append(str(Path(pwd.getpwnam(_owner(self.prefix)).pw_dir, ".local", "bin")))
        for folder in filter(None, folders):
            link = Path(folder, NAME)
            # One of root's may not be entered, as after `su`.
            with suppress(PermissionError):
                if link.is_symlink() and link.resolve() == own:
                    return folder
        return folders[-1]


@dataclass(frozen=True)
class Checkout(Environment):
    """A clone of the repository, with the environment that was made for it."""

    folder: Path
    is_editable: bool

    @property
    def name(self) -> str:
        return _("a checkout, in {folder}").format(folder=self.folder)

    def keep(self, say: Say) -> None:
        commit = self._git("rev-parse", "HEAD").output().strip()
        self._note.write_text(f"{commit} {self._branch()}")
        super().keep(say)

    def renew(self, target: str, say: Say) -> None:
        run(say, self._git("fetch", "--tags"))
        if target or not self._branch():
            run(say, self._git("checkout", "--quiet", target or self._newest_tag()))
        if self._branch():
            run(say, self._git("merge", "--ff-only", "@{upstream}"))
        run(say, Command(["make", "-C", str(self.folder), "static"], _owner(self.folder)))
        for lock in self._locks():
            self._pip(say, "--require-hashes", "--requirement", str(self.folder / lock))
        source = ["--editable", str(self.folder)] if self.is_editable else [str(self.folder)]
        self._pip(say, "--no-deps", "--no-build-isolation", *source)

    def put_back(self, say: Say) -> None:
        commit, _space, branch = self._note.read_text().partition(" ")
        if branch and branch != self._branch():
            run(say, self._git("checkout", "--quiet", branch))
        run(say, self._git("reset", "--quiet", "--keep", commit))
        super().put_back(say)

    @property
    def _note(self) -> Path:
        # In a work tree of its own, `.git` is a file.
        path = self._git("rev-parse", "--git-path", "flask10x-former").output().strip()
        return self.folder / path

    def _branch(self) -> str:
        """The branch that is followed; "" where a tag or a commit was checked out."""
        return self._git("symbolic-ref", "--quiet", "--short", "HEAD").output().strip()

    def _newest_tag(self) -> str:
        tags = self._git("tag", "--list", "v*", "--sort=-version:refname").output().split()
        if not tags:
            text = _("{folder} follows no branch, and its repository has no tag: name a version")
            raise CommandFailed(text.format(folder=self.folder))
        return tags[0]

    def _locks(self) -> Iterator[str]:
        for lock, module in LOCKS.items():
            if (self.folder / lock).is_file() and importlib.util.find_spec(module) is not None:
                yield lock

    def _git(self, *words: str) -> Command:
        return Command(["git", "-C", str(self.folder), *words], _owner(self.folder))


@dataclass(frozen=True)
class Package(Way):
    """The package of a Debian: it brings its units, makes a backup and restarts the service."""

    @property
    def name(self) -> str:
        return _("a Debian package")

    @property
    def writes_units(self) -> bool:
        return False

    def keep(self, say: Say) -> None:
        say(_("keeps the version that is there in {folder}").format(folder=KEPT_PACKAGES))
        KEPT_PACKAGES.mkdir(parents=True, exist_ok=True)
        KEPT_PACKAGES.chmod(installation.FOLDER_MODE)
        for former in self._former():
            former.unlink()
        with tempfile.TemporaryDirectory(dir=KEPT_PACKAGES) as folder:
            _rebuild(Path(folder, "root"))
            Command(
                ["dpkg-deb", "-Zgzip", "--build", f"{folder}/root", str(KEPT_PACKAGES)]
            ).output()
        if not self._former():
            raise CommandFailed(_("the package that is installed could not be kept"))

    def renew(self, target: str, say: Say) -> None:
        if not target:
            run(say, Command(["apt-get", "update"]))
        # A file is one by its slash.
        what = str(Path(target).resolve()) if target else NAME
        run(say, self._apt("install", "--yes", what))

    def put_back(self, say: Say) -> None:
        (former,) = self._former()
        words = ["install", "--yes", "--allow-downgrades", "--reinstall", str(former)]
        run(say, self._apt(*words))

    @staticmethod
    def _apt(*words: str) -> Command:
        # Else deploy/debian/preinst makes a second backup, postinst restarts the service while apt
        # has more to do, and dpkg asks about the settings.
        keep = ["-o", "Dpkg::Options::=--force-confold"]
        environment = {"DEBIAN_FRONTEND": "noninteractive", "UPDATE_WITHOUT_BACKUP": "1"}
        environment["UPDATE_WITHOUT_RESTART"] = "1"
        return Command(["apt-get", *keep, *words], environment=environment)

    @staticmethod
    def _former() -> list[Path]:
        return sorted(KEPT_PACKAGES.glob("*.deb"))


def way() -> Way:
    """How this program was installed. Raises ServiceError for a way that has no update."""
    prefix = Path(sys.prefix)
    if str(units.program()) in _files_of_package():
        return Package()
    if (prefix / "pipx_metadata.json").is_file():
        return Pipx(prefix)
    for folder in (CHECKOUT, prefix.parent):
        if (folder / "flask10x" / "__init__.py").is_file() and (
            folder / "pyproject.toml"
        ).is_file():
            if not (folder / ".git").exists():
                text = _(
                    "{folder} is no clone of git: docs/en/howto/update.md says how to update it"
                )
                raise ServiceError(text.format(folder=folder))
            return Checkout(prefix, folder, is_editable=folder == CHECKOUT)
    if sys.prefix == sys.base_prefix:
        text = _("{program} is in no virtual environment: update it as you have installed it")
        raise ServiceError(text.format(program=units.program()))
    return Environment(prefix)


def update(place: Place, target: str, say: Say) -> bool:
    """Bring the installation to the target; whether it is there.

    False means that the former version runs again. Raises CommandFailed or ServiceError when
    nothing was changed, or when the former version could not be brought back, which is said.
    """
    method = way()
    require_rights(place, "update")
    say(_("{way}, version {version}").format(way=method.name, version=flask10x.__version__))
    wrong_before = installation.failures(place)
    for name, text in wrong_before.items():
        say(_("FAIL already before the update: {name}: {text}").format(name=name, text=text))
    # What runs this is exchanged, too.
    script = Path(stand_in.__file__).read_text(encoding="utf-8")
    former = _Former(place, method, _revision(place), installed_units(place), script)
    run(say, Command(place.systemctl("start", units.BACKUP)))
    method.keep(say)
    try:
        method.renew(target, say)
        if method.writes_units:
            run(say, own_installer(place))
        # Of its units, too, those that are new.
        installation.start_service(place, say)
        wrong = _wrong_since(place, wrong_before)
    except CommandFailed as error:
        wrong = {NAME: str(error)}
    for name, text in wrong.items():
        say(_("FAIL since the update: {name}: {text}").format(name=name, text=text))
    if wrong:
        _put_back(former, say)
    return not wrong


def _put_back(former: "_Former", say: Say) -> None:
    """Bring the former version back; raises CommandFailed with what is left to be done by hand."""
    try:
        former.put_back(say)
    except CommandFailed as error:
        text = _(
            "{error}; the former version could not be installed again; it is still there, as is the"
            ' backup that was made first: docs/en/howto/update.md, "If it does not work"'
        )
        raise CommandFailed(text.format(error=error)) from error


def own_installer(place: Place) -> Command:
    """The command of the version that is installed now that writes its units."""
    scope = ["--user"] if place.is_user else []
    return Command([str(units.program()), "service", "install", "--no-start", *scope])


def installed_units(place: Place) -> set[str]:
    """The units of ours that are there."""
    return {path.name for path in place.units.glob("flask10x*") if path.suffix in units.KINDS}


@dataclass(frozen=True)
class _Former:
    """The version before the update, and what brings it back."""

    place: Place
    way: Way
    revision: str
    units: set[str]
    stand_in: str
    """The program that answers meanwhile."""

    def put_back(self, say: Say) -> None:
        """Stop the new version, bring the database back to the former one, and start that."""
        place = self.place
        say(_("installs version {version} again").format(version=flask10x.__version__))
        with self._standing_in(say):
            is_back = self._database_back(say)
            self.way.put_back(say)
            if not is_back:
                self._restore(say)
            if self.way.writes_units:
                self._units_back(say)
        installation.start_service(place, say)

    @contextmanager
    def _standing_in(self, say: Say) -> Iterator[None]:
        """The service stopped, and another program behind its port, where systemd holds that.

        With the port alone, the next reading would start the service again, on a database that is
        being brought back.
        """
        place = self.place
        if units.property_of(place, units.SOCKET, "ActiveState") != "active":
            run(say, Command(place.systemctl("stop", units.SERVICE)))
            yield
            return
        folder = place.runtime_units / f"{units.SERVICE}.d"
        script, drop_in = folder / "stand_in.py", folder / "stand_in.conf"
        python = Path(sys.executable).resolve()
        say(_("answers senders with 503 meanwhile"))
        folder.mkdir(parents=True, exist_ok=True)
        # Whatever the umask of who updates: the user of the service reads the program.
        folder.chmod(installation.UNITS_MODE)
        installation.write(script, self.stand_in, installation.UNIT_MODE)
        text = STAND_IN.format(python=python, script=script)
        installation.write(drop_in, text, installation.UNIT_MODE)
        try:
            run(say, Command(place.systemctl("daemon-reload")))
            run(say, Command(place.systemctl("restart", units.SERVICE)))
            yield
        finally:
            drop_in.unlink()
            script.unlink()
            # Another drop-in may be there.
            with suppress(OSError):
                folder.rmdir()
            run(say, Command(place.systemctl("daemon-reload")))

    def _database_back(self, say: Say) -> bool:
        """Whether the database is one that the former version knows."""
        with suppress(CommandFailed):
            if _revision(self.place) == self.revision:
                return True
            run(say, own_command(self.place, "migrate", "--back-to", self.revision))
            return True
        return False

    def _restore(self, say: Say) -> None:
        """Put back the backup that was made before the update; what it replaces is kept."""
        backups = backup_files.finished(settings_module.load().backup_dir)
        if _revision(self.place) == self.revision or not backups:
            return
        try:
            run(say, own_command(self.place, "restore", str(backups[-1])))
        except CommandFailed:
            # Its status 4 says that a file names rows which it could not take.
            if _revision(self.place) != self.revision:
                raise

    def _units_back(self, say: Say) -> None:
        place = self.place
        for name in sorted(installed_units(place) - self.units):
            run(say, Command(place.systemctl("disable", "--now", name)))
            (place.units / name).unlink()
        run(say, own_installer(place))


def _wrong_since(place: Place, before: dict[str, str]) -> dict[str, str]:
    """What `check` calls wrong and the former version did not, once the service has settled."""
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
    """The version of the database; "" where there is none yet."""
    findings = installation.checked(place)["findings"]
    return next((f["details"].get("revision") or "" for f in findings if f["name"] == "schema"), "")


def require_rights(place: Place, word: str) -> None:
    if not place.is_user and os.geteuid() != 0:
        text = _("only root may do this: {command}")
        raise ServiceError(text.format(command=place.own("service", word)))


def _owner(path: Path) -> str:
    """The user to whom a folder belongs: what root makes in it, the user could not change."""
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


def _give_like(model: Path, made: Path) -> None:
    """Folders were made by root, but belong to whom the model belongs; links share their owner."""
    owner = model.stat()
    if owner.st_uid == os.geteuid():
        return
    for folder, _folders, files in os.walk(made):
        for name in (".", *files):
            os.chown(Path(folder, name), owner.st_uid, owner.st_gid, follow_symlinks=False)


def _files_of_package() -> set[str]:
    try:
        return set((DPKG / f"{NAME}.list").read_text(encoding="utf-8").splitlines())
    except OSError:
        return set()


def _rebuild(root: Path) -> None:
    """Lay out the package that is installed, as dpkg-deb builds it."""
    for line in sorted(_files_of_package() - {"/."}):
        source, target = Path(line), root / line.lstrip("/")
        if source.is_dir() and not source.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copystat(source, target)
        elif source.is_symlink() or source.exists():
            _linked(str(source), str(target))
    control = root / "DEBIAN"
    control.mkdir()
    for script in DPKG.glob(f"{NAME}.*"):
        kind = script.suffix.removeprefix(".")
        if kind in KEPT_FILES:
            shutil.copy2(script, control / kind)
    fields = Command(["dpkg-query", "--status", NAME]).output()
    text = re.sub(r"^(Status|Conffiles|Config-Version):.*\n(?: .*\n)*", "", fields, flags=re.M)
    (control / "control").write_text(text, encoding="utf-8")
