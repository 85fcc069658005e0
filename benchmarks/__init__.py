"""`make bench`: real services are started, loaded and measured, and the page of figures is written.

`servers` and `floor` are what is measured: our service, and the smallest Flask app that parses a
body. `load` is the one program that sends, `filled` makes a database of millions of readings.
`ingest`, `beside`, `growth`, `engines`, `hosts`, `boards`, `statements` and `verify` have a
function for each row of the tables, `against` compares with another commit. `results` keeps what
was measured in results.jsonl; tables.toml has the lines of the tables and their aims, which
`report` and `pictures` make for docs/en/explanation/performance.md, growth.md and their Japanese
pages.
"""
