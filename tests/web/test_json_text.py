"""JSON answers have Japanese as it is written, and are UTF-8 whatever is in them."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.runtime.store import Store
from flask10x.web.json_text import readable

BODY = '{"場所": "居間", "pressure": "千"}'


def test_an_answer_has_japanese_as_it_is(client: FlaskClient) -> None:
    answer = client.post("/data", data=BODY.encode())

    assert "'千'".encode() in answer.data
    assert answer.content_type == "application/json"
    assert answer.content_length == len(answer.data)


def test_a_rejected_reading_is_shown_as_it_was_sent(client: FlaskClient, store: Store) -> None:
    client.post("/data", data=BODY.encode())
    store.writer.rejected_queue.finish()

    shown = client.get("/history/rejected/json")
    assert "居間".encode() in shown.data
    assert json.loads(shown.data)[0]["body"] == BODY


@pytest.mark.parametrize("text", ["\ud800", "\udfff", "居間\ud83d", "\ud83d\ude00", "😀"])
def test_half_a_character_is_escaped(app: Flask, text: str) -> None:
    for made in (app.json.dumps({text: text}), readable({text: text})):
        assert json.loads(made.encode()) == json.loads(json.dumps({text: text}))


def test_what_plays_tricks_on_a_screen_is_escaped(app: Flask) -> None:
    text = "居間\u3000\x1b[2J\x85\u202e\u2028\U000e0041\x7f"
    for made in (app.json.dumps(text), readable(text)):
        assert made == '"居間\u3000\\u001b[2J\\u0085\\u202e\\u2028\\udb40\\udc41\\u007f"'
        assert json.loads(made) == text
