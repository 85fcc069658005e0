"""The clock on the wall: its offsets, days, and the steps of a chart that go by it."""
