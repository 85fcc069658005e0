"""`flask10x alerts`: what people want to be told of, and by which ways."""

import click

from flask10x.commands import translated
from flask10x.commands.alerts import deliver, own_file, send_test


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Alerts and the messages of them: the file alerts.toml.

    FLASK10X_ALERTS says where it is.
    """


command.add_command(own_file.init_command)
command.add_command(own_file.check_command)
command.add_command(own_file.list_command)
command.add_command(send_test.command)
command.add_command(deliver.command)
