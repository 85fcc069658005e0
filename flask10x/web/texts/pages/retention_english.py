"""Readings that are removed, in English; `retention_japanese.py` has the same keys."""

TEXTS: dict[str, str] = {
    "question.kept": "How long are readings kept?",
    "kept.good": "Old readings are removed; what their hours and days add up to stays for ever. The database file does not get smaller: new readings take the room.",
    "kept.late": "Readings stay that should have been removed a week ago or earlier.",
    "kept.look": "Compare the CSV files with the database:",
    "kept.days": "{name}: kept for {days} days.",
    "kept.gone": "{n} are removed, up to {time}.",
    "kept.next": "Next is that of {time}, on {date}.",
    "kept.nothing": "There is none to remove yet.",
    "kept_why.never_exported": "No export has ever written their CSV file.",
    "kept_why.interrupted": "An export was interrupted; the next one mends it.",
    "kept_why.file_gone": "Their CSV file is gone; the next export begins a new one.",
    "kept_why.file_changed": "Somebody has touched their CSV file since the last export.",
    "kept_why.other_columns": "The station's columns have changed; the next export begins a new CSV file.",
    "kept_why.other_zone": "Their CSV file is in another time zone than the service.",
    "kept_why.other_host": "Another host has their CSV file and removes them; its own page of status says why they stay.",
    "kept_why.other": "A newer reading stands before them, or the log says why.",
    "removed.page": "Older readings were removed after {days} days. Their hours and days stay in the charts.",
    "removed.once": "Older readings were removed. Their hours and days stay in the charts.",
}
