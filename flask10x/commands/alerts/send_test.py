"""`flask10x alerts test`: a message by each way, or by one."""

import sys
import time
from collections.abc import Sequence
from gettext import gettext as _

import click

from flask10x.alerts.delivery.jobs import Envelope, NotSendable, jobs_of
from flask10x.alerts.delivery.tries import Try
from flask10x.alerts.texts.troubles import in_words
from flask10x.alerts.texts.words import Speaker
from flask10x.commands import language, translated
from flask10x.commands.options import check_names
from flask10x.config import settings
from flask10x.config.alerts.rules import Way
from flask10x.config.settings import Settings
from flask10x.system import clock

POLL_SEC = 0.02


@translated.command("test")
@translated.option("--way", "names", multiple=True, metavar="NAME", help="Only this way.")
def command(names: tuple[str, ...]) -> None:
    """Send a test message by each way of alerts.toml, at once, and say what became of it.

    Quiet hours, the daily limit and what waits do not count. Exit status: 1 when one was not taken.
    """
    config = settings.load()
    ways = {way.name: way for way in config.alerts.ways}
    if not ways:
        raise click.ClickException(_("alerts.toml has no way by which messages could go"))
    check_names("--way", names, ways)
    chosen = [way for name, way in ways.items() if name in (names or ways)]
    started = [(way, *_start(config, way)) for way in chosen]
    troubles = [_report(*one) for one in started]
    sys.exit(1 if any(troubles) else 0)


def _start(config: Settings, way: Way) -> tuple[Sequence[Try], str]:
    """The tries that are under way, or why there are none."""
    now_ms = clock.now_ms()
    text = Speaker(config, way.language or config.alerts.language).test(way.name)
    envelope = Envelope(key=f"test-{now_ms}", occasion="test", text=text, facts={"way": way.name})
    try:
        return [Try(job) for job in jobs_of(way, envelope, now_ms)], ""
    except NotSendable as error:
        return [], error.trouble


def _report(way: Way, tries: Sequence[Try], trouble: str) -> bool:
    """Wait for the tries and say how they ended; whether one of them has failed."""
    # Each one has to be looked at, for that ends it in time.
    while len(tries) > sum(one.look() for one in tries):
        time.sleep(POLL_SEC)
    troubles = [one.trouble for one in tries if one.trouble] + ([trouble] if trouble else [])
    if not troubles:
        click.echo(_("{way}: sent").format(way=way.name))
        return False
    spoken = in_words(troubles[0], "ja" if language.speaks_japanese() else "en")
    text = _("{way}: not sent: {reason}")
    if len(tries) > 1:
        text = _("{way}: not sent to {n} of {all}: {reason}")
    shown = text.format(way=way.name, n=len(troubles), all=len(tries), reason=spoken)
    click.echo(shown, err=True)
    return True
