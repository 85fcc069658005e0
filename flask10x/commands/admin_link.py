"""`flask10x admin-link`: an address that makes a browser an administrator's."""

import sys
from gettext import gettext as _

import click

from flask10x.commands import translated
from flask10x.config import settings
from flask10x.errors import Flask10xError, SettingsError
from flask10x.runtime.administrators import Administrators
from flask10x.system import address, clock
from flask10x.system.wording import amount


@translated.command()
@translated.option("--revoke-all", is_flag=True, help="End all browsers and links instead.")
def command(revoke_all: bool) -> None:
    """Print an address that lets a browser set things up: it works once, for ten minutes.

    Open it in the browser; on a terminal there is a QR code for a phone as well.
    """
    config = settings.load()
    administrators = Administrators(config)
    try:
        if revoke_all:
            click.echo(
                _("{browsers} ended").format(browsers=amount(administrators.end(), "browser"))
            )
            return
        if config.setup == "off":
            raise SettingsError(
                _("{name} is off: there are no pages to set things up").format(
                    name="FLASK10X_SETUP"
                )
            )
        link = f"setup/link/{administrators.new_link(clock.now_ms())}"
    except OSError as error:
        raise Flask10xError(f"{config.data_dir}: {error.strerror}") from error
    pages = [f"{page}{link}" for page in address.addresses(config)]
    if not pages:
        text = _("open this path behind the address of your proxy: /{path}")
        click.echo(text.format(path=link))
    for page in pages:
        click.echo(page)
    if len(pages) > 1:
        address.draw(pages[1], sys.stdout)
    click.echo(_("It works once, within 10 minutes."), err=True)
