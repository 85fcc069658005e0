"""The floor: the smallest Flask app that parses a reading's body and answers it."""

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/data2")
@app.post("/<_endpoint>")
def post(_endpoint: str = "data2") -> Response:
    """What the old server answered, with nothing checked and nothing kept."""
    request.get_json()
    return jsonify(status="enqueued")


@app.get("/<path:_path>")
def get(_path: str) -> Response:
    """The same for every page."""
    return jsonify(status="ok")
