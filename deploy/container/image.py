"""Build the images: `make image`, as an archive for podman and docker.

The base is made of Debian's packages, which are unpacked and not run, so that of another machine
needs no emulation. Needs podman and mmdebstrap. Nothing is fetched in the build itself: pip has
fetched the locked wheels before. Whether two builds are the same bytes, `make release` compares.
"""

import hashlib
import json
import resource
import shutil
import sys
import tarfile
import tempfile
from argparse import ArgumentParser
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "deploy" / "debian")]
import build  # noqa: E402
import install  # noqa: E402

SUITE = "trixie"
PYTHON = "3.13"
# busybox is for those who look into a container; libstdc++6 is greenlet's.
PACKAGES = (
    "base-files,busybox,ca-certificates,libc-bin,libstdc++6,netbase,python3,python3-pip-whl,tzdata"
)
COMMANDS = (
    "cat chmod chown cp date df du env find grep head id kill ls mkdir more mv ps rm sh sleep"
)
COMMANDS += " stat tail top vi"
# Only what builds has it.
PIP = "*/python-wheels/*"
# What Debian's ca-certificates makes when it is installed.
CERTIFICATES = "./etc/ssl/certs/ca-certificates.crt"
# Of the packages what nothing here reads, by the names in the archive of mmdebstrap: texts, what
# other characters are converted with, what is for dpkg, what Python has for tests and desktops.
NOT_NEEDED = (
    *(
        "*/share/locale/*",
        "*/share/man/*",
        "*/share/info/*",
        "*/share/lintian/*",
        "*/share/perl5/*",
        "*/gconv/*",
    ),
    *(
        "*/bin/dpkg*",
        "*/bin/localedef",
        "*/bin/mawk",
        "*/bin/openssl",
        "*/bin/tar",
        "*/sbin/*",
        "*/lib/valgrind/*",
    ),
    *(
        "*/share/doc/*",
        "*/libselinux.so.*",
        "*/libpcre2-8.so.*",
        "*/libacl.so.*",
        "*/libmd.so.*",
        "*/libdb-5.3.so",
        "*/_dbm.*.so",
        "*/libmvec.so.*",
        "*/libc_malloc_debug.so.*",
        "*/ossl-modules/*",
    ),
    *(
        "*/python3.13/test/*",
        "*/python3.13/pydoc_data/*",
        "*/python3.13/turtle.py",
        "*/python3.13/turtledemo/*",
    ),
    *(
        "./dev/*",
        "./var/cache/*",
        "./var/lib/dpkg/*",
        "./var/lib/apt/*",
        "./var/log/*",
        "./etc/apt/*",
    ),
)
# But what each of Debian's packages says of its licence stays.
NEEDED = "*/copyright"
NAME = "localhost/flask10x"
WHEELS = ROOT / "build" / "wheels"


def podman(*words: str | Path) -> str:
    """What podman prints; it ends the build when it fails."""
    return build.run("podman", *words)


def fetch_wheels(folder: Path) -> None:
    """Fetch the wheels of the locks for both machines, unless they are there."""
    names = [build.LOCK, *(f"requirements-{extra}.lock" for extra in build.EXTRAS)]
    digest = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in names)).hexdigest()
    done = folder / f"of-{digest[:16]}"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asked = [f"--requirement={ROOT / name}" for name in names]
    for architecture in install.MACHINES:
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        words += [*install.platform_of(architecture), f"--python-version={PYTHON}"]
        build.run(*words, "--require-hashes", f"--dest={folder}", *asked)
    done.touch()


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout in the place of a former one."""
    for former in folder.glob("flask10x-*.whl"):
        former.unlink()
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    build.run(*words, folder, SOURCE_DATE_EPOCH=build.epoch())
    (wheel,) = folder.glob("flask10x-*.whl")
    return wheel


def bases(architecture: str) -> list[str]:
    """Make an image of Debian's packages, and one with pip; returns their ids."""
    ids = []
    names = f"{NAME}-base:{architecture}", f"{NAME}-builder:{architecture}"
    with tempfile.TemporaryDirectory() as made:
        whole = Path(made, "whole.tar")
        words = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={architecture}"]
        build.run(*words, f"--include={PACKAGES}", SUITE, whole, SOURCE_DATE_EPOCH=build.epoch())
        for name, unneeded in zip(names, ((*NOT_NEEDED, PIP), NOT_NEEDED), strict=True):
            context = Path(made, name.rpartition("/")[2])
            context.mkdir()
            thinned(whole, context / "base.tar", unneeded)
            text = "FROM scratch\nADD base.tar /\n"
            (context / "Containerfile").write_text(text, encoding="utf-8")
            ids.append(_build(name, architecture, context))
    return ids


def thinned(whole: Path, thin: Path, unneeded: tuple[str, ...]) -> None:
    """Copy an archive without what is not needed, and with the certificates in one file."""
    certificates = []
    with tarfile.open(whole) as source, tarfile.open(thin, "w") as target:
        for member in source:
            member.mtime = int(build.epoch())
            content = source.extractfile(member) if member.isreg() else None
            if content is not None and fnmatch(member.name, "*/ca-certificates/mozilla/*.crt"):
                certificates.append(content.read())
            elif _is_needed(member, unneeded):
                target.addfile(member, content)
        for command in COMMANDS.split():
            link = tarfile.TarInfo(f"./usr/bin/{command}")
            link.type, link.linkname, link.mtime = tarfile.SYMTYPE, "busybox", int(build.epoch())
            target.addfile(link)
        bundle = tarfile.TarInfo(CERTIFICATES)
        text = b"".join(certificates)
        bundle.size, bundle.mtime, bundle.mode = len(text), int(build.epoch()), 0o644
        target.addfile(bundle, BytesIO(text))


def _is_needed(member: tarfile.TarInfo, unneeded: tuple[str, ...]) -> bool:
    is_left_out = any(fnmatch(member.name, pattern) for pattern in unneeded)
    return member.isdir() or fnmatch(member.name, NEEDED) or not is_left_out


def _build(name: str, architecture: str, context: Path, *words: str | Path) -> str:
    """The id of what is built: another checkout may take the name meanwhile."""
    limits = []
    for limit, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        soft, hard = resource.getrlimit(number)
        limits.append(f"--ulimit={limit}={soft}:{hard}")
    fixed = ["--pull=never", "--format=oci", "--timestamp", build.epoch(), "--isolation=chroot"]
    fixed += ["--platform", f"linux/{architecture}", "--tag", name, *limits]
    return podman("build", "--quiet", *fixed, *words, context)


def image(architecture: str, of: str, builder: str) -> str:
    """Build the image of this checkout on a base; returns its id."""
    name = f"{NAME}:{build.version()}-{architecture}"
    arguments = [
        f"--build-arg={key}={value}"
        for key, value in (("BASE", of), ("BUILDER", builder), ("VERSION", build.version()))
    ]
    return _build(name, architecture, ROOT, "--file", HERE / "Containerfile", *arguments)


def archive(built: str, file: Path) -> None:
    """Write an image into a file that `podman load` and `docker load` read."""
    with tempfile.TemporaryDirectory() as folder:
        tag = f"{NAME}:{build.version()}"
        podman("push", "--quiet", "--remove-signatures", built, f"oci:{folder}/image:{tag}")
        layout = Path(folder, "image")
        index = json.loads((layout / "index.json").read_text(encoding="utf-8"))
        (entry,) = index["manifests"]
        manifest = json.loads((layout / _blob(entry)).read_text(encoding="utf-8"))
        # docker reads this one, podman index.json.
        for_docker = {
            "Config": _blob(manifest["config"]),
            "RepoTags": [tag],
            "Layers": [_blob(layer) for layer in manifest["layers"]],
        }
        (layout / "manifest.json").write_text(json.dumps([for_docker]), encoding="utf-8")
        with tarfile.open(file, "w") as target:
            for path in sorted(layout.rglob("*")):
                target.add(path, path.relative_to(layout), recursive=False, filter=_settled)


def _blob(of: dict[str, str]) -> str:
    return f"blobs/{of['digest'].replace(':', '/')}"


def _settled(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime, member.mode = int(build.epoch()), 0o755 if member.isdir() else 0o644
    return member


def main() -> None:
    """Build the images of the architectures that are named, or of all, and say their sizes."""
    parser = ArgumentParser(description="Build the images.")
    parser.add_argument(
        "architectures", nargs="*", help=f"of {', '.join(install.MACHINES)}; else all"
    )
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder for them")
    chosen = parser.parse_args()
    target = chosen.into.resolve()
    fetch_wheels(WHEELS)
    wheel = build_wheel(WHEELS)
    own = build.run("podman", "info", "--format", "{{.Host.Arch}}")
    own_base, builder = bases(own)
    for architecture in chosen.architectures or install.MACHINES:
        of, _builder = (own_base, builder) if architecture == own else bases(architecture)
        built = image(architecture, of, builder)
        file = target / f"flask10x_{build.version()}_{architecture}.oci.tar"
        archive(built, file)
        size = int(podman("image", "inspect", "--format", "{{.Size}}", built))
        packed = file.stat().st_size
        sys.stdout.write(f"{file}: {packed / 1e6:.0f} MB, {size / 1e6:.0f} MB unpacked\n")
    # Else it would be taken for that of a later checkout.
    wheel.unlink()


if __name__ == "__main__":
    main()
