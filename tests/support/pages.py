"""The addresses of all pages, from the list by which the application has them.

What holds for each page is tried for each of these: a page that somebody adds needs no line here.
"""

from flask10x.web.app import PAGES

ADDRESSES = tuple(route.rule for page in PAGES for route in page.routes.values() if route.is_page)
