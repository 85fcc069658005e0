"""Gunicorn and its worker, and the development server."""
