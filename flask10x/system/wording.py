"""Numbers of things in the English of the command line."""


def amount(number: int, thing: str) -> str:
    """`1 row`, `2 rows`, `0 rows`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def are(number: int) -> str:
    """The verb after such a number."""
    return "is" if number == 1 else "are"
