"""The texts of one page a module, in both languages (`<page>_english.py`, `<page>_japanese.py`)."""
