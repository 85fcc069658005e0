"""Values that are computed from others when they are read, and are not stored."""
