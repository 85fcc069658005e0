"""The specification of all routes (OpenAPI 3.1) for programs."""
