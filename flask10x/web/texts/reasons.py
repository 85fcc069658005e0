"""Why a question to the history, or a reading, is refused, in the reader's language.

The reasons are made in English where they are found, stay so in JSON and in the database, and are
put into Japanese here, by their wording. One that has no translation is shown in English: better
than none.
"""

import re

from flask10x.web.texts.catalog import Language

_HINT = r"(?: \(did you mean (?P<near>.+)\?\))?"
_QUESTIONS: tuple[tuple[str, str], ...] = (
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
_AT = r"(?P<what>.+) at line (?P<line>\d+) column (?P<column>\d+)"
_BYTE = r"byte (?P<byte>\S+) at offset (?P<offset>\d+)"
_CHARACTERS = r"; the text is not plain ASCII, so Content-Length .*"
_READINGS: tuple[tuple[str, str], ...] = (
    (r"required field missing", "値がありません"),
    (r"must be an object", "オブジェクトではありません"),
    (r"below minimum (?P<limit>\S+)", "下限の {limit} を下回っています"),
    (r"above maximum (?P<limit>\S+)", "上限の {limit} を超えています"),
    (r"unsupported type: (?P<type>\w+)", "数値でも文字列でもありません（{type}）"),
    (r"not a finite number", "有限の数値ではありません"),
    (r"longer than (?P<n>\d+) characters: (?P<text>.+)", "{n}文字を超えています: {text}"),
    (r"invalid numeric string: (?P<text>.+)", "数値ではありません: {text}"),
    (r"could not convert string to float: (?P<text>.+)", "数値として読めません: {text}"),
    (r"unknown unit (?P<unit>.+) \(known: none\)", "単位 {unit} は使えません（単位のない値です）"),
    (r"unknown unit (?P<unit>.+) \(known: (?P<known>[^()]+)\)", "単位 {unit} は使えません（使える単位: {known}）"),
    (r"(?P<value>\S+) is what .*?(?P<sensor>\S+) that does not answer gives: taken as missing", "{value} は応答しない {sensor} の値なので、欠測とみなしました"),
    (r"over (?P<n>\d+) bytes; nothing of it is kept", "{n}バイトを超えています。本文は残していません"),
    (r"the body is empty: .*", "本文が空です。JSONオブジェクトを1つ送ってください"),
    (r"JSON is nested too deeply: .*", "JSONの入れ子が深すぎます。JSONオブジェクトを1つ送ってください"),
    (r"JSON (?P<kind>.+) instead of an object: .*", "JSONですが、オブジェクトではありません（{kind}）。JSONオブジェクトを1つ送ってください"),
    (r"Content-Type is (?P<type>.+): send application/json", "Content-Type が {type} です。application/json で送ってください"),
    (r"the body ends inside a character: " + _BYTE + _CHARACTERS, "本文が文字の途中で終わっています（{offset}バイト目の {byte}）。Content-Length を、バイト数ではなく文字数で数えていると思われます"),
    (r"the body is not (?P<encoding>\S+): " + _BYTE + r" \(.+\)", "本文が {encoding} ではありません（{offset}バイト目の {byte}）"),
    (r"JSON ends early: " + _AT + _CHARACTERS, "JSONが途中で終わっています（{line}行{column}文字目、{what}）。Content-Length を、バイト数ではなく文字数で数えていると思われます"),
    (r"JSON ends early: " + _AT, "JSONが途中で終わっています（{line}行{column}文字目、{what}）"),
    (r"invalid JSON: " + _AT + r"; JSON has no nan or inf: .*", "JSONとして読めません（{line}行{column}文字目）。JSONに nan や inf はありません。null を送るか、項目を省いてください"),
    (r"invalid JSON: " + _AT, "JSONとして読めません（{line}行{column}文字目、{what}）"),
)  # fmt: skip
_PATTERNS = [(re.compile(pattern, re.DOTALL), text) for pattern, text in (*_QUESTIONS, *_READINGS)]


def reason_in(language: Language, reason: str) -> str:
    """A reason or a hint, of a question or of a reading, for a page in this language."""
    if language == "en":
        return reason
    for pattern, text in _PATTERNS:
        if match := pattern.fullmatch(reason):
            near = match.groupdict().get("near")
            return text.format(**match.groupdict()) + (f"（{near} の間違いでは？）" if near else "")
    return reason
