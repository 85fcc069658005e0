"""What the URLs of a channel that a browser has set up may name: nothing of this machine.

The URLs are read by Apprise's own parser, which takes parameters that no other one finds. Of each
kind of URL only parameters that can't name a file are allowed; the process that sends opens no
other file, whatever a parameter names (`attempt.Guard`).
"""

import re
from collections.abc import Collection

from apprise.plugins import N_MGR, url_to_dict
from apprise.utils.parse import parse_urls

# What Apprise has for the screens, lights and the log of this machine.
LOCAL = {"blink1", "dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"}
# Of a parameter with any other type Apprise takes a number or one of some words.
TEXT_TYPES = ("string", "list:string")
# The parameters with a text that is sent, by any kind of URL: of receivers and their accounts, and
# what a message looks like.
TEXTS = re.compile(
    "access|accesstoken|actions|alert|alerting_scenario|alias|api-version|apikey|app|app_id"
    "|app_secret|app_token|app_ver|assignees|avatar|avatar_url|bcc|bot_id|bot_token|botname"
    "|bucket|callback|callbackurl|campaign|category|cc|channel|channels|class|click|client_id"
    "|client_key|collapse|color|company|component|copy|country|currency|dedup|delay|device"
    "|email|endpoint|entity|entity_id|event_type|exchange|external_id|facility|flair_id"
    "|flair_text|from|group|gwid|header|href|icon|icon_url|id|identifier|image_href|image_url"
    "|integration|integrationkey|key|label|labels|lang|language|link|links|location|login"
    "|master_key|mode|name|nick|nid|oauth_id|oauth_secret|option|pass|password|ping|policy"
    "|port|powerautomate|prefix|priority|profile|project|public_key|push_key|recipients|ref"
    "|region|relay|reply|reply_to|route|routeid|routing_key|secret|sender|service|sid|sig"
    "|signature|smtp|snooze|sound|sound_href|source|special_text_color|spi|spoiler|sptag"
    "|status|subtitle|tags|task_key|team|tenant|thirdparty|thread|thread_name|threadkey|tid|to"
    "|token|topic|topic_auth_token|topic_code|txgroups|type|tz|url|url_label|url_prefix"
    "|url_title|user|v|ver|vhost|voice|webhook|workflow|workspace|xmpp|xtags"
)
# Where `template` is the name of a template that the service has.
HAVE_TEMPLATES = {"awswhatsapp", "gupshup", "kaleyra", "onesignal", "sendgrid", "whatsapp"}


def trouble_of(text: str) -> str:
    """Return a code of `words.TROUBLES` for a line of URLs that can't be used, or "".

    The name of a parameter is in it only if the kind of URL has one of that name; any other may be
    a secret at the wrong place.
    """
    urls: list[str] = parse_urls(text)
    if not urls:
        return "bad_url"
    return next(filter(None, map(_trouble, urls)), "")


def _trouble(url: str) -> str:
    read = url_to_dict(url)
    if read is None:
        return "bad_url"
    kind = N_MGR[read["schema"]]
    if read["schema"] in LOCAL:
        return "local_way"
    known: dict[str, dict[str, object]] = kind.template_args
    prefixes = {str(one.get("prefix", "+")) for one in kind.template_kwargs.values()}
    for name in read["qsd"]:
        if not _is_allowed(name, read["schema"], known.get(name, {}), prefixes):
            return f"parameter:{name}" if name in known else "parameters"
    return ""


def _is_allowed(
    name: str, schema: str, declared: dict[str, object], prefixes: Collection[str]
) -> bool:
    if TEXTS.fullmatch(name) or name[:1] in prefixes:
        return True
    if name == "template" and schema in HAVE_TEMPLATES:
        return True
    return "type" in declared and declared["type"] not in TEXT_TYPES
