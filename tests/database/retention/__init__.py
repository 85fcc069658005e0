"""Tests of `flask10x/database/retention/`."""
