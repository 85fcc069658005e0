"""MQTT: readings that a broker has are handed over to the service."""
