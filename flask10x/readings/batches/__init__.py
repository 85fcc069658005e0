"""Batches: what a sender says of each reading of a request that brings several."""
