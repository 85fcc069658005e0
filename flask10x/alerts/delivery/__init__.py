"""Sending messages: by a process of its own that ends, with a small one for each try."""
