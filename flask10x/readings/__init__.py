"""What a reading is and how it is written: JSON, CSV, units, local time. No I/O, no clock."""
