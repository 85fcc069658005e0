"""The files of deploy/cluster, as far as they can be looked at without a cluster.

`tests/faults/cluster` starts one with them, `tests/e2e/test_haproxy.py` two services behind one.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import make_url

from flask10x.config import settings as settings_module
from flask10x.config.settings import READERS
from tests.faults.cluster.machine import HOSTS, own_lines

CLUSTER = Path(__file__).resolve().parents[2] / "deploy" / "cluster"
PATRONI = shutil.which("patroni")
POSTGRES = Path("/usr/lib/postgresql/17/bin/postgres")
NODES = [f"10.0.0.{host}" for host in HOSTS]


def text_of(name: str) -> str:
    return (CLUSTER / name).read_text(encoding="utf-8")


def settings_of(name: str) -> dict[str, str]:
    """What a file of variables sets."""
    return dict(re.findall(r"^(\w+)=(.*)$", text_of(name), re.MULTILINE))


def test_a_service_host_knows_all_nodes_and_asks_for_the_one_that_is_written_to(
    tmp_path: Path,
) -> None:
    given = settings_of("flask10x.env")
    assert {name.removeprefix("FLASK10X_").lower() for name in given} <= READERS.keys()
    config = settings_module.load(given | {"FLASK10X_DATA_DIR": str(tmp_path)})
    assert config.on_postgres
    assert config.ack == "committed"
    query = make_url(config.database_url).query
    assert [*query["host"]] == [f"{node}:5432" for node in NODES]
    assert query["target_session_attrs"] == "read-write"


def test_the_members_of_etcd_know_each_other() -> None:
    given = settings_of("etcd")
    members = dict(member.split("=") for member in given["ETCD_INITIAL_CLUSTER"].split(","))
    assert members == {f"db{n}": f"http://{node}:2380" for n, node in enumerate(NODES, 1)}
    assert members[given["ETCD_NAME"]] == given["ETCD_INITIAL_ADVERTISE_PEER_URLS"]


@pytest.mark.parametrize("name", ["patroni.yml", "etcd"])
def test_another_node_differs_in_the_lines_that_are_marked_only(name: str) -> None:
    first = text_of(name)
    third = own_lines(first, "db3", NODES[2])
    changed = [
        (one, other)
        for one, other in zip(first.splitlines(), third.splitlines(), strict=True)
        if one != other
    ]
    assert len(changed) == {"patroni.yml": 3, "etcd": 5}[name]
    for one, other in changed:
        assert one.replace("db1", "db3").replace(NODES[0], NODES[2]) == other


@pytest.mark.skipif(
    PATRONI is None or not POSTGRES.exists(), reason="patroni and postgresql-17 are not installed"
)
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [("", "", ""), ("ttl: 20", "ttl: 10", "ttl"), ("loop_wait: 5", "loop_wait: x", "loop_wait")],
)
def test_patroni_has_nothing_to_say_about_its_file(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    file = tmp_path / "patroni.yml"
    file.write_text(text_of("patroni.yml").replace(old, new), encoding="utf-8")
    done = subprocess.run(
        [f"{PATRONI}", "--validate-config", "--ignore-listen-port", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert (complaint in said, done.returncode == 0) == (True, not complaint), said
    assert complaint or said == ""


@pytest.mark.parametrize("name", ["patroni.yml", "haproxy.cfg"])
def test_each_choice_stands_under_a_comment_of_its_paragraph(name: str) -> None:
    paragraphs = text_of(name).split("\n\n")
    bare = [p for p in paragraphs if "#" not in p]
    # The first words of what HAProxy has in each such file, and the second list of the same hosts.
    assert [p for p in bare if not p.startswith(("global", "backend living"))] == []
