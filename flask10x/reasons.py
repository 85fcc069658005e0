"""Why a question to the history is refused, in the reader's language.

The reasons are made in English where they are found, stay so in JSON, and are put into Japanese
here, by their wording. One that has no translation is shown in English: better than none.
"""

import re

from flask10x.texts import Language

_HINT = r"(?: \(did you mean (?P<near>.+)\?\))?"
_JAPANESE: tuple[tuple[str, str], ...] = (
    (r"unknown parameter" + _HINT, "そのような項目はありません"),
    (r"unknown station" + _HINT + r": (?P<known>.+)", "そのような端末はありません。指定できるのは {known} です"),
    (r"unknown measurement" + _HINT + r": (?P<known>.+)", "そのような測定項目はありません。指定できるのは {known} です"),
    (r"given (?P<n>\d+) times", "{n}回指定されています。1回だけ指定してください"),
    (r"more than (?P<n>\d+) parameters", "指定が{n}個を超えています"),
    (r"is empty: leave the parameter out", "値が空です。指定しない場合は項目ごと省いてください"),
    (r"is later than `to`", "開始が終了より後になっています"),
    (r"asc or desc is needed", "asc か desc を指定してください"),
    (r"a whole number from (?P<low>\d+) to (?P<high>\d+) is needed", "{low}から{high}までの整数を指定してください"),
    (r"a plain number such as 25 or -0\.5 is needed", "25 や -0.5 のような数値を指定してください"),
    (r"1 or 0 is needed", "1 か 0 を指定してください"),
    (r"1 is needed, or nothing at all", "1 を指定するか、項目ごと省いてください"),
    (r"not a cursor: .*", "ページの位置として読めません。前後のページへのリンクを使ってください"),
    (r"the id of a reading is needed: .*", "測定値のIDを指定してください"),
    (r"only (?P<path>\S+) understands it", "{path} でだけ使える項目です"),
    (r"does not go with `since`, .*", "since と同時には指定できません"),
    (r"not a time: write .*", "日時として読めません。2025-08-24、2025-08-24 09:00、-24h、now のように書いてください"),
    (r"reaches back beyond the year (?P<year>\d+)", "{year}年より前は指定できません"),
    (r"only the years (?P<first>\d+) to (?P<last>\d+) can be asked for", "{first}年から{last}年までを指定してください"),
    (r"no such time: .*", "存在しない日時です"),
    (r"no such offset: (?P<offset>.+)", "時差 {offset} は存在しません"),
    (r"a '\+' in a URL stands for a space: .*", "URLの「+」は空白になります。時差は %2B09:00 のように書いてください"),
    (r"took longer than (?P<sec>\S+) s: .*", "検索に{sec}秒以上かかりました。期間や端末を絞ってください"),
    (r"there is one order only, the newest first", "並び順は新しい順だけです"),
    (r"rejected readings have no measurements to filter by", "拒否した測定値は値で絞り込めません"),
)  # fmt: skip
_PATTERNS = [(re.compile(pattern, re.DOTALL), text) for pattern, text in _JAPANESE]


def reason_in(language: Language, reason: str) -> str:
    """The reason of a QueryError for a page in this language."""
    if language == "en":
        return reason
    for pattern, text in _PATTERNS:
        if match := pattern.fullmatch(reason):
            near = match.groupdict().get("near")
            return text.format(**match.groupdict()) + (f"（{near} の間違いでは？）" if near else "")
    return reason
