"""How the service is doing: what alerts, the status page and the metrics have in common."""
