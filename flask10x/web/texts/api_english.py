"""The texts of the page `/api` in English; the order is that of the page."""

TEXTS: dict[str, str] = {
    "index.api": "All routes, with commands to try",
    "api.title": "API",
    "api.lead": (
        "Everything that this service answers to programs. Each command can be pasted into a terminal"
        " as it is; those that post have ?dry_run=1, so they only tell what would be stored."
    ),
    "api.tools": "With other programs",
    "api.file": "The same for programs, as OpenAPI 3.1:",
    "api.tools.how": (
        "Postman, Insomnia and Bruno import that address. Swagger UI and Redoc want the file, for a"
        " page of another origin may not read from here. Generators of clients take either."
    ),
    "api.token": (
        "This service wants tokens. Give yours to the shell first, for the commands below have"
        " $TOKEN: read -rs TOKEN"
    ),
    "api.field": "Field",
    "api.unit": "Unit",
    "api.minimum": "Least",
    "api.maximum": "Greatest",
    "api.try": "Try it",
    "api.parameters": "Parameters",
    "api.conditions": (
        "Also a condition on any measurement: co2__gte=1000, temperature__lt=5, humidity__isnull=1."
    ),
    "api.answers": "Answers",
    "group.send": "Send readings",
    "group.read": "Read",
    "group.state": "How the service is",
    "group.people": "Pages for people",
    "operation.send_station": "Takes a reading of this station",
    "operation.send_many": "Takes many readings of any stations, late ones too",
    "operation.ambient_data": "Takes a reading as Ambient's clients send it",
    "operation.ambient_dataarray": "Takes many of those",
    "operation.ambient_urldataarray": "Takes many of those as a form",
    "operation.write_v1": "Takes line protocol, as InfluxDB 1 does",
    "operation.write_v2": "Takes line protocol, as InfluxDB 2 does",
    "operation.history": "Readings, page by page, and what is new",
    "operation.history_csv": "Readings as a CSV file",
    "operation.history_file": "Readings as a JSON file",
    "operation.series": "Readings as lines of a chart",
    "operation.rejected": "Rejected readings",
    "operation.latest": "The newest values of one station or of all, with their age",
    "operation.alerts": "What is wrong now, what was, and what is muted",
    "operation.time": "The time, for a board's clock",
    "operation.healthz": "Does it answer",
    "operation.readyz": "Can it store",
    "operation.metrics": "Queue, totals, last receipt and silence of each station",
    "operation.metrics_prometheus": "The numbers of the service for Prometheus",
    "operation.metrics_details": "What was refused, and the warnings of each field",
    "operation.specification": "This page for programs: OpenAPI 3.1",
    "operation.home": "The home: a tile for each station, with `kiosk=1` for a tablet on the wall",
    "operation.history_page": "The readings with their charts",
    "operation.rejected_page": "Rejected readings",
    "operation.alerts_page": "What is wrong, what was, and who was told",
    "operation.mute": "Mutes an alert for a while",
    "operation.unmute": "Ends a mute",
    "operation.devices": "How each board sends",
    "operation.program": "A program for the board of a station",
    "operation.records_page": "Tables of a month, a year and all years, and the records",
    "operation.records_csv": "The same table as CSV",
    "operation.status_page": "How it is going, and what to do about each trouble",
    "operation.api_page": "This page",
    "operation.static": "Styles and scripts of the pages",
}
