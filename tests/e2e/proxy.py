"""A real nginx with the site of deploy/, in front of a service; its ports and paths are our own."""

import getpass
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.senders import HOST
from tests.e2e.service import PROJECT, wait_until

SITE = PROJECT / "deploy" / "nginx-flask10x.conf"
# Debian has it where only root's PATH leads.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed: the site in deploy/ is not tested here"
)
# What Debian's nginx.conf has around the site, and every path inside one folder.
AROUND = """\
user {user};
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 768; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    include {folder}/site.conf;
}}
"""


class Proxy:
    """nginx on a port of its own that passes on to the service's."""

    def __init__(self, folder: Path, port: int, service_port: int) -> None:
        assert NGINX is not None
        folder.mkdir()
        self.folder = folder
        self.port = port
        (folder / "site.conf").write_text(_site(port, service_port))
        conf = folder / "nginx.conf"
        conf.write_text(AROUND.format(user=getpass.getuser(), folder=folder))
        self._command = [NGINX, "-p", str(folder), "-c", str(conf), "-e", str(folder / "error.log")]
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """nginx's own check of the configuration: no error and no warning."""
        done = subprocess.run(
            [*self._command, "-t", "-q"], capture_output=True, text=True, check=False, timeout=20
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [*self._command, "-g", "daemon off;"], stdin=subprocess.DEVNULL
        )
        wait_until(self._listens, 60, f"nginx listens\n{self.errors()}")

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex((HOST, self.port)) == 0

    def stop(self) -> None:
        """End it with all its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def errors(self) -> str:
        """What it has written to its error log."""
        file = self.folder / "error.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def files(self) -> list[Path]:
        """The temporary files that it has written bodies or answers to."""
        folders = ("bodies", "answers")
        return [f for name in folders for f in (self.folder / name).rglob("*") if f.is_file()]


def _site(port: int, service_port: int) -> str:
    """The site as it is shipped, but for the two ports."""
    text = SITE.read_text(encoding="utf-8")
    text, listens = re.subn(r"(?m)^    listen 8888 ", f"    listen {HOST}:{port} ", text)
    text, others = re.subn(r"(?m)^    listen \[::\]:8888 .*\n", "", text)
    text, upstreams = re.subn(r"server 127\.0\.0\.1:8889 ", f"server {HOST}:{service_port} ", text)
    assert (listens, others, upstreams) == (1, 1, 1)
    return text
