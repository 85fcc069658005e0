"""The addresses of all pages, from the list by which the application has them.

What holds for each page is tried for each of these: a page that somebody adds needs no line here.
"""

from flask10x.web.app import PAGES

_ROUTES = [route for page in PAGES for route in page.routes.values() if route.is_page]
ADDRESSES = tuple(route.rule for route in _ROUTES)
# Those that answer 503 while the database is missing.
WITH_STORE = tuple(route.rule for route in _ROUTES if not route.without_store)
