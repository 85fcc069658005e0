"""Why a message could not be sent, in words: the codes that the state file keeps.

A code is a word, some with a value after a colon, so that neither a URL nor a secret can get into
the file, the log or a page.
"""

from flask10x.translation import Language

ENGLISH = {
    "no_answer": "no answer came in time",
    "no_such_host": "no such host, or no network",
    "refused": "the connection was refused",
    "unreachable": "the connection broke, or there is no way to the host",
    "certificate": "the certificate of the host is not valid",
    "tls": "TLS failed",
    "no_http": "what answered speaks no HTTP",
    "bad_url": "the URL is not one that can be used",
    "status": "it answered {value}",
    "not_taken": "the service did not take it",
    "no_apprise": "the package apprise is missing: pip install 'flask10x[alerts]'",
    "no_urls": "the file of URLs is empty",
    "many_urls": "the file of URLs has more than {value}",
    "secret_file": "the file with the secret can't be read: flask10x alerts check says why",
    "secret_text": "the file with the secret is no UTF-8 text",
    "no_text": "its text could not be made: the log says why",
    "no_way": "alerts.toml has no way of this name any more",
    "exit": "the program ended with {value}",
    "killed": "the program was ended by signal {value}",
    "no_program": "the program can't be started",
    "failed": "the try ended early",
    "outdated": "something newer is told instead",
}
JAPANESE = {
    "no_answer": "時間内に応答がありません",
    "no_such_host": "ホストが見つからないか、ネットワークにつながっていません",
    "refused": "接続が拒否されました",
    "unreachable": "接続が切れたか、ホストに到達できません",
    "certificate": "ホストの証明書が有効ではありません",
    "tls": "TLSの通信に失敗しました",
    "no_http": "HTTPではない応答がありました",
    "bad_url": "URLが正しくありません",
    "status": "応答は{value}でした",
    "not_taken": "サービスが受け付けませんでした",
    "no_apprise": "パッケージappriseがありません: pip install 'flask10x[alerts]'",
    "no_urls": "URLのファイルが空です",
    "many_urls": "URLのファイルに{value}個を超えるURLがあります",
    "secret_file": "秘密のファイルを読めません: 理由はflask10x alerts checkで確認できます",
    "secret_text": "秘密のファイルがUTF-8のテキストではありません",
    "no_text": "文面を作れませんでした: 理由はログにあります",
    "no_way": "この名前の通知先がalerts.tomlにありません",
    "exit": "プログラムが終了コード{value}で終わりました",
    "killed": "プログラムがシグナル{value}で終わりました",
    "no_program": "プログラムを起動できません",
    "failed": "送信の途中で終わりました",
    "outdated": "より新しい通知に替えました",
}
WORDS: dict[Language, dict[str, str]] = {"en": ENGLISH, "ja": JAPANESE}


def in_words(trouble: str, language: Language) -> str:
    """The trouble as people read it; a code of another version as it is, "" for none."""
    code, _colon, value = trouble.partition(":")
    text = WORDS[language].get(code)
    return trouble if text is None else text.format(value=value)
