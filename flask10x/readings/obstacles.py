"""Why readings that are due are not removed: for the export, the pages and the commands."""

from typing import Literal

from flask10x.translation import N_

Obstacle = Literal[
    "never_exported",
    "interrupted",
    "file_gone",
    "file_changed",
    "other_columns",
    "other_zone",
    "other_host",
    "imported",
    "in_no_known_file",
    "values_in_no_file",
    "archived_gone",
    "archived_changed",
    "archived_columns",
    "archived_zone",
]
"""Why no file proves anything now; an export or a person has to act first."""

REASONS: dict[Obstacle | Literal["other"], str] = {
    "never_exported": N_("No export has ever written their CSV file."),
    "interrupted": N_("An export was interrupted; the next one repairs it."),
    "file_gone": N_("Their CSV file is gone; the next export begins a new one."),
    "file_changed": N_("Their CSV file was changed since the last export."),
    "other_columns": N_("The station's columns changed; the next export begins a new CSV file."),
    "other_zone": N_("Their CSV file is in another time zone than the service."),
    "other_host": N_(
        "Another host has their CSV file and removes them; its status page says why they stay."
    ),
    "imported": N_("They were imported, and no CSV file of the service has them yet."),
    "in_no_known_file": N_("They are in an archived CSV file, and it is not known in which one."),
    "values_in_no_file": N_(
        "No CSV file has their values of measurements that are no longer in stations.toml: {file}. "
        "Add these to the station again and export; then have the file written whole."
    ),
    "archived_gone": N_("The archived CSV file that has them is missing: {file}."),
    "archived_changed": N_(
        "The archived CSV file that has them was changed; put back a copy: {file}."
    ),
    "archived_columns": N_("The columns of the archived CSV file are unknown: {file}."),
    "archived_zone": N_(
        "This machine does not have the time zone of the archived CSV file {file}."
    ),
    "other": N_("Readings stored before them are not due yet, or the log says why."),
}
"""Why readings that are due are not removed."""
