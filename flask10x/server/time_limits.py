"""How long the steps of a stop may take (decision 9)."""

# Gunicorn kills what is left after this; the unit's TimeoutStopSec is longer still.
GRACEFUL_TIMEOUT_SEC = 30
# How long a stopping worker waits for requests in flight; then it stores what it has and goes.
REQUEST_CEILING_SEC = 10
