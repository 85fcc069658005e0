"""What the pages say of notes and corrections, in Japanese."""

TEXTS = {
    "caption.raw": "補正前の値",
    "field.raw": "補正前の値",
}
