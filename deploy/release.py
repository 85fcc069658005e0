"""Build all files of a release into dist/: `make release`, twice, and compare the bytes.

Wheel, source, Debian packages, images where podman is installed, a list of all that is in them
(CycloneDX), the section of the changelog, and the checksums of these files.
"""

import base64
import hashlib
import json
import re
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "deploy" / "debian"))
import build  # noqa: E402

SUMS = "SHA256SUMS"
# Of the tools that only an image needs.
FOR_IMAGES = ("podman", "mmdebstrap")
LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+)(.*?)(?=^[a-z0-9-]+==|\Z)", re.MULTILINE | re.DOTALL)


def parts() -> Iterator[Component]:
    """What is in the packages and images beside the program: the locked libraries, the charts."""
    texts = [build.running_lock((ROOT / build.LOCK).read_text(encoding="utf-8"))]
    texts += [
        (ROOT / f"requirements-{extra}.lock").read_text(encoding="utf-8") for extra in build.EXTRAS
    ]
    found: dict[str, Component] = {}
    for name, version, rest in (match for text in texts for match in LOCKED.findall(text)):
        hashes = [
            HashType(alg=HashAlgorithm.SHA_256, content=digest)
            for digest in sorted(re.findall("--hash=sha256:([0-9a-f]{64})", rest))
        ]
        found[name] = _component(name, version, "pypi", hashes)
    yield from found.values()
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    charts = packages["node_modules/uplot"]
    digest = base64.b64decode(charts["integrity"].removeprefix("sha512-")).hex()
    yield _component(
        "uplot", charts["version"], "npm", [HashType(alg=HashAlgorithm.SHA_512, content=digest)]
    )


def _component(name: str, version: str, kind: str, hashes: list[HashType]) -> Component:
    purl = PackageURL(type=kind, name=name, version=version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        hashes=hashes,
    )


def bill_of_materials() -> str:
    """What is in it, as CycloneDX says it; ends the release when its schema does not hold."""
    own = Component(
        name="flask10x",
        version=build.version(),
        type=ComponentType.APPLICATION,
        bom_ref=f"pkg:pypi/flask10x@{build.version()}",
    )
    components = list(parts())
    known = hashlib.sha256("\n".join(sorted(str(c.purl) for c in components)).encode()).digest()
    bom = Bom(components=components, serial_number=UUID(bytes=known[:16], version=4))
    bom.metadata.component = own
    bom.metadata.timestamp = datetime.fromtimestamp(int(build.epoch()), UTC)
    bom.register_dependency(own, components)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if (fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
        raise SystemExit(f"the list of parts is not as its schema says: {fault}")
    return f"{text}\n"


def changes(version: str) -> str:
    """The section of the changelog for this version; "" where there is none."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    pattern = rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|^\[[^\]]+\]: |\Z)"
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return match[1].strip() + "\n" if match else ""


def build_all(folder: Path, *, images: bool, trial: bool) -> None:
    """Build everything into a folder, and say how long each takes."""
    seconds = build.epoch()
    version = build.version()
    python = [sys.executable]
    _step("wheel and source", [*python, "-m", "build", "--no-isolation", "--outdir", folder])
    scripts = {"Debian packages": "debian/build.py", "images": "container/image.py"}
    if not images:
        del scripts["images"]
    # Each uses one core for most of its time.
    with ThreadPoolExecutor() as pool:
        steps = [
            pool.submit(_step, name, [*python, ROOT / "deploy" / script, "--into", folder])
            for name, script in scripts.items()
        ]
        for step in steps:
            step.result()
    (folder / f"flask10x-{version}.cdx.json").write_text(bill_of_materials(), encoding="utf-8")
    text = changes(version) or (changes("Unreleased") if trial else "")
    (folder / f"flask10x-{version}.changes.md").write_text(text, encoding="utf-8")
    lines = [f"{digest}  {name}\n" for name, digest in digests(folder).items()]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    if build.epoch() != seconds:
        raise SystemExit("there was a commit meanwhile: make release again")


def _step(name: str, words: list[str | Path]) -> None:
    began = time.monotonic()
    build.run(*words, SOURCE_DATE_EPOCH=build.epoch())
    sys.stdout.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def different(first: Path, second: Path) -> list[str]:
    """The names of the files that are not the same in both, or in one alone."""
    one, other = digests(first), digests(second)
    return sorted(name for name in one | other if one.get(name) != other.get(name))


def faults(version: str) -> Iterator[str]:
    """What is in the way of a release."""
    if build.run("git", "status", "--porcelain"):
        yield "git status is not empty: a release is built from a commit"
    if not changes(version):
        yield f"CHANGELOG.md has no section [{version}]: RELEASING.md, step 5"
    if changes("Unreleased") and changes(version):
        yield "CHANGELOG.md has something under Unreleased"


def main() -> None:
    """Build the release twice, compare, and put it into dist/."""
    parser = ArgumentParser(description="Build all files of a release, twice, and compare them.")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder for them")
    parser.add_argument("--trial", action="store_true", help="of whatever the checkout has")
    parser.add_argument("--once", action="store_true", help="compare nothing")
    chosen = parser.parse_args()
    if not chosen.trial and (wrong := list(faults(build.version()))):
        raise SystemExit("\n".join(wrong))
    missing = [name for name in FOR_IMAGES if shutil.which(name) is None]
    if missing:
        sys.stdout.write(f"without images: {', '.join(missing)} is not installed\n")
    with tempfile.TemporaryDirectory() as made:
        folders = [Path(made, name) for name in ("first", "second")][: 1 if chosen.once else 2]
        for folder in folders:
            folder.mkdir()
            build_all(folder, images=not missing, trial=chosen.trial)
        if len(folders) > 1 and (names := different(*folders)):
            raise SystemExit(f"not the same bytes twice: {', '.join(names)}")
        chosen.into.mkdir(exist_ok=True)
        for path in sorted(folders[0].iterdir()):
            shutil.copyfile(path, chosen.into / path.name)
            sys.stdout.write(f"{chosen.into / path.name}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
