"""The floor: the smallest Flask app that parses a reading's body and answers it."""

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/data2")
def data2() -> Response:
    """What the old server answered, with nothing checked and nothing kept."""
    request.get_json()
    return jsonify(status="enqueued")


@app.get("/healthz")
def healthz() -> Response:
    """So that whoever starts it knows when it is there."""
    return jsonify(status="ok")
