"""The names of the facts of each kind of alert: what watches fill in and texts say.

Every fact may be missing or None; a text then says less. Times are UTC epoch milliseconds.

| kind | facts |
|---|---|
| silence | `last_received_at`, `after_sec`, `learned` (1 or 0), `values` (the last, as a text) |
| threshold | `value`, `unit`, `limit`, `clear`, `above` (1 or 0), `for_sec`, `measured_at` |
| rate | `value`, `before`, `unit`, `change`, `rise` (1 or 0), `within_sec`, `measured_at` |
| failed_sensor | `readings`, `last_value`, `unit`, `last_value_at`, `fault` (the number) |
| refused | `readings`, `within_sec`, `reason` (the newest), `reason_ja`, `field` |
| queue | `waiting`, `threshold`, `capacity` |
| disk | `free_bytes`, `free_percent`, `total_bytes`, `full_in_days` |
| database | `reason` |
| export | `oldest_at`, `readings`, `station` |
| backup | `newest_at` (None: there is none), `after_sec` |
"""
