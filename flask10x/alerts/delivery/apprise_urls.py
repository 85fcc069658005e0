"""Whatever Apprise's URLs name: mail, chats, phones (extra `flask10x[alerts]`)."""

import logging
import re
from collections.abc import Mapping
from typing import Any

# A plugin logs with which status the service has refused. What else it logs may have secrets in it.
STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")


class _Statuses(logging.Handler):
    """Keeps the last status that a plugin has logged, and nothing else."""

    status = ""

    def emit(self, record: logging.LogRecord) -> None:
        if found := STATUS.search(record.getMessage()):
            self.status = found[1]


def notify(job: Mapping[str, Any]) -> str:
    """Send `title` and `body` to `url`; "" when it was taken, else a code of the trouble.

    `type` is one of Apprise's: info, success, warning, failure. Proxies of the environment are
    asked, as the library requests does.
    """
    try:
        import apprise  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "apprise":
            raise
        return "no_apprise"
    logger, statuses = logging.getLogger("apprise"), _Statuses(logging.WARNING)
    logger.addHandler(statuses)
    logger.propagate = False
    # It keeps nothing on the card between two calls.
    asset = apprise.AppriseAsset(app_id="Flask10X", async_mode=False)
    sender = apprise.Apprise(asset=asset)
    if not sender.add(job["url"]):
        return "bad_url"
    is_sent = sender.notify(
        body=job["body"],
        title=job["title"],
        notify_type=apprise.NotifyType(job["type"]),
        body_format=apprise.NotifyFormat.TEXT,
    )
    if is_sent:
        return ""
    return f"status:{statuses.status}" if statuses.status else "not_taken"
