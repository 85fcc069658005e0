"""What is shown otherwise than it was stored: hidden ranges, offsets and gains of sensors."""
