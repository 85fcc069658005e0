"""Sphinx's settings, for one language; make_site.py says which: `-D language=ja`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "Flask10X"
html_title = project
extensions = ["myst_parser", "pages"]

# Links to headings, in GitHub's way of writing them.
myst_heading_anchors = 4
# Links out of the language's folder, written by sources.py.
myst_url_schemes = {
    "http": None,
    "https": None,
    "mailto": None,
    "site": {"url": "{{path}}"},
    "site-part": {"url": "{{path}}#{{fragment}}"},
}
nitpicky = True
# `--restart` is no dash.
smartquotes = False
# A block without a language is plain text.
highlight_language = "none"

html_theme = "furo"
html_theme_options = {
    # The button of this name is the language switch: templates/components.
    "top_of_page_buttons": ["view"],
}
templates_path = [str(HERE / "templates")]
html_static_path = [str(HERE / "static")]
html_favicon = str(HERE.parents[1] / "flask10x" / "web" / "static" / "icon.svg")
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_use_index = False
