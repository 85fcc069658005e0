"""The newest reading of each station: what cards and `/api/v1/latest` show."""
