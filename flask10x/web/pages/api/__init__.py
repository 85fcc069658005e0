"""The page `/api`: the specification for people, and `/openapi.json`."""
