"""`make bench`: real services are started, loaded and measured, and the page of figures is written.

`servers` and `floor` are what is measured: our service, and the smallest Flask app that parses a
body. `wrk`, `pace` and `people` are the load; `slow_sync` is a slow disk, `filled` a database of
millions of readings. `ingest`, `beside` and `growth` have a function for each row of the table.
`results` keeps what was measured, `aims` says against what; `report` and `plots` make the tables
and the pictures of docs/en/explanation/performance.md.
"""
