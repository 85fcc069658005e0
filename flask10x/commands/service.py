"""`flask10x service`: this installation as a service of systemd, and its updates."""

import sys
from gettext import gettext as _

import click

import flask10x
from flask10x.commands import translated
from flask10x.config import settings as settings_module
from flask10x.errors import ServiceError
from flask10x.maintenance import installation, update
from flask10x.maintenance.installation import Command, own_command
from flask10x.system import address, units
from flask10x.system.units import Place

# As systemctl says that a unit does not run (man 1 systemctl).
NOT_RUNNING = 3

as_user = translated.option(
    "--user", is_flag=True, help="A service of your own, without root; its data are in your home."
)


def say(text: str) -> None:
    """Print a line at once: what commands print comes in between."""
    click.echo(text)
    sys.stdout.flush()


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Install, update or remove this program as a service of systemd, or say how it is."""


@command.command("install")
@as_user
@translated.option("--no-start", is_flag=True, help="Write and enable the units, start nothing.")
def install(user: bool, no_start: bool) -> None:
    """Write the units of systemd for this program and start them.

    Settings and data that are there stay, and units that you have disabled stay disabled. Prints
    the addresses of the pages, and the link of `flask10x admin-link`.
    """
    if units.container() and not units.BOOTED.exists():
        raise _of_a_container()
    place = units.installed() or (units.of_the_user() if user else units.of_the_system())
    if place.units == units.PACKAGED_UNITS:
        raise ServiceError(_("the Debian package has installed the service"))
    installation.install(place, say, start=not no_start)
    if not no_start and units.property_of(place, units.SERVICE, "ActiveState") == "active":
        say(_("Flask10X runs. Its pages:"))
        config = settings_module.load()
        for page in address.addresses(config):
            say(page)
        if config.setup != "off":
            say(_("To set it up, open one of these in a browser:"))
            own_command(place, "admin-link").run()


@command.command("status")
def status() -> None:
    """Say what is installed, where it is, and whether it runs.

    Exit status: 0 when the service runs, 3 when it does not.
    """
    place = _installed_place()
    try:
        by = update.environment().name
    except ServiceError as error:
        by = str(error)
    click.echo(f"flask10x {flask10x.__version__}: {by}")
    rows = [(_("Settings"), place.settings), (_("Data"), place.data), (_("Units"), place.units)]
    for name, path in rows:
        click.echo(f"{name}: {path}")
    for name in units.names():
        if (place.units / name).exists():
            active, enabled, following = (
                units.property_of(place, name, what)
                for what in ("ActiveState", "UnitFileState", "NextElapseUSecRealtime")
            )
            following = _("next: {time}").format(time=following) if following else ""
            click.echo(f"{name:<24} {active:<10} {enabled:<10} {following}".rstrip())
    if units.property_of(place, units.SERVICE, "ActiveState") != "active":
        click.echo(_("it does not run; why: {command}").format(command=place.journal()))
        sys.exit(NOT_RUNNING)
    for page in address.addresses(settings_module.load()):
        click.echo(page)


@command.command("update")
@click.argument("target", required=False, default="")
def update_(target: str) -> None:
    """Install the newest version, or TARGET; the former one comes back if the new one fails.

    TARGET is a .deb file, a tag or commit of the checkout, a wheel or `flask10x==1.2.0`, by how the
    program was installed. Steps: backup, new version, start with its migration, check. If the check
    finds something wrong that was not wrong before, the former version is installed again. Exit
    status: 0 when the new version runs, 1 when the former one does.
    """
    place = _installed_place()
    if update.update(place, target, say):
        version = Command([str(units.program()), "--version"]).output().strip()
        say(_("updated: {version}").format(version=version))
        return
    say(_("not updated: version {version} runs again").format(version=flask10x.__version__))
    sys.exit(1)


@command.command("uninstall")
def uninstall() -> None:
    """Stop the service and remove its units; readings and settings stay.

    Says where they are, and how to remove the program.
    """
    place = _installed_place()
    if place.units == units.PACKAGED_UNITS:
        text = _("the Debian package has installed the service: sudo apt remove flask10x")
        raise ServiceError(text)
    update.require_rights(place, "uninstall")
    installation.uninstall(place, say)
    click.echo(_("Readings, CSV files and backups are still in {folder}").format(folder=place.data))
    click.echo(_("Settings are still in {folder}").format(folder=place.settings.parent))
    click.echo(_("To begin again with them: {command}").format(command=_begin_again(place)))


def _begin_again(place: Place) -> str:
    return place.own("service", "install", *(["--user"] if place.is_user else []))


def _installed_place() -> Place:
    """Return the place of the service; raises ServiceError if this program is not a service."""
    place = units.installed()
    if place is None and units.container():
        raise _of_a_container()
    if place is None:
        text = _("{program} is not a service; run: {command}")
        command = _begin_again(units.of_the_system())
        raise ServiceError(text.format(program=units.program(), command=command))
    return place


def _of_a_container() -> ServiceError:
    text = _(
        "this runs in a container of {engine}: it is started, updated and removed on its host;"
        " docs/en/howto/container.md has the commands"
    )
    return ServiceError(text.format(engine=units.container()))
