"""Keys of readings: by them a repeat is known, whichever worker it comes to.

A sender gives a key with a reading when it may send it again because it has not heard the answer.
"""

from hashlib import blake2b

# 128 bits: no two keys ever have the same digest, also among those that somebody has thought out.
DIGEST_BYTES = 16


def key_of(endpoint: str, given: bytes) -> str:
    """The key of a reading of this station for which its sender has given these bytes.

    It has 32 hexadecimal digits, and is what `Writer.submit` takes.
    """
    return _digest(b"key", endpoint, given)


def key_of_body(endpoint: str, body: bytes) -> str:
    """The key of a reading that is known by its body alone; no sender's key is the same."""
    return _digest(b"body", endpoint, body)


def _digest(kind: bytes, endpoint: str, content: bytes) -> str:
    whole = endpoint.encode() + b"\0" + content
    return blake2b(whole, digest_size=DIGEST_BYTES, person=kind).hexdigest()
