"""The API: history, newest readings, batches, alerts and the time, for programs and scripts."""
