"""Values that are computed from others when somebody reads them, and are stored nowhere."""
