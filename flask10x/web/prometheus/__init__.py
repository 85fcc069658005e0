"""The service's numbers for Prometheus: as text, or as OpenMetrics."""
