"""What runs beside the requests of a worker: monitor, inspection, roll-ups on time."""
