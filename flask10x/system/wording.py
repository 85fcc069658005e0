"""Numbers in the English of the command line: of things, bytes and seconds."""


def amount(number: int, thing: str) -> str:
    """`1 row`, `2 rows`, `0 rows`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def are(number: int) -> str:
    """The verb after such a number."""
    return "is" if number == 1 else "are"


def megabytes(count: int) -> str:
    """`12.3 MB`, a megabyte being a million bytes."""
    return f"{count / 1e6:,.1f} MB"


def span(seconds: int) -> str:
    """`119 s`, `119 min`, `47 h`, `2 days`: rounded down."""
    for length, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
