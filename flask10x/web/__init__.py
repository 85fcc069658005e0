"""Flask: routes, pages, templates, static files, texts."""
