"""What processes of a service share in /dev/shm, and a /dev/shm of the test's own."""

from pathlib import Path

from tests.e2e.service import Service, open_files

FOLDER = Path("/dev/shm")


def shared_files(service: Service) -> set[Path]:
    """The files with a name that a running service has open there."""
    found = set()
    for member in service.members():
        try:
            targets = open_files(member)
        except OSError:
            continue
        found |= {Path(target) for target in targets if not target.endswith(" (deleted)")}
    return {file for file in found if file.parent == FOLDER}


def put_in_place(service: Service, folder: Path, *options: str) -> None:
    """Let the service find this folder as /dev/shm, whatever it starts; needs root."""
    mount = f"mount --bind {folder} {FOLDER}"
    further = "".join(f" && mount -o remount,bind,{option} {FOLDER}" for option in options)
    service.wrapper = ("unshare", "--mount", "sh", "-c", f'{mount}{further} && exec "$@"', "sh")
