"""What the pages say of notes and corrections, in English."""

TEXTS = {
    "caption.raw": "as stored, without corrections",
    "field.raw": "Values as stored",
}
