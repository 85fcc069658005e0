"""The reasons of rejected readings that were stored before migration 0006, put into Japanese.

Those rows hold finished English sentences and no codes, so their wording is all there is to go by.
It is what the program said then: nothing is added here. The table goes when no database can hold
such rows any more; REJECTED_MAX_ROWS and REJECTED_MAX_BYTES let them go one day.
"""

import re

_AT = r"(?P<what>.+) at line (?P<line>\d+) column (?P<column>\d+)"
_BYTE = r"byte (?P<byte>\S+) at offset (?P<offset>\d+)"
_CHARACTERS = r"; the text is not plain ASCII, so Content-Length .*"
_SENTENCES: tuple[tuple[str, str], ...] = (
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
PATTERNS = [(re.compile(pattern, re.DOTALL), text) for pattern, text in _SENTENCES]


def japanese(reason: str) -> str:
    """A stored reason or hint in Japanese; as it is when it is none of these sentences."""
    for pattern, text in PATTERNS:
        if match := pattern.fullmatch(reason):
            return text.format(**match.groupdict())
    return reason
