"""Sending messages: by a process of its own that ends, with a small one for each try.

This folder's modules `attempt`, `webhook` and `apprise_urls` run in that small one. They load
neither SQLAlchemy nor the settings.
"""
