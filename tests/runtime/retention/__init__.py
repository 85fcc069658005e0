"""Tests of `flask10x/runtime/retention/`."""
