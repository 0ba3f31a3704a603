"""Push and pull against real servers on this machine, by the lines that docs/how-to/remotes.md prints."""

import getpass
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import psutil
import pytest
from conftest import DVC, ROOT, attempt, commit, dvc, run

SECRET = secrets.token_hex()


def printed_lines(title: str) -> str:
    """The commands that the page prints under a title."""
    page = (ROOT / "docs/how-to/remotes.md").read_text(encoding="utf-8")
    match = re.search(rf"^### {re.escape(title)}\n.*?^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert match, f"the page has no block under {title}"
    return match[1]


def configure(folder: Path, title: str, values: dict[str, str]) -> None:
    """Run the page's lines up to the push, with `values` in place of its examples."""
    block = printed_lines(title)
    for example, value in values.items():
        assert example in block
        block = block.replace(example, value)
    *settings, push = (shlex.split(line) for line in block.splitlines())
    assert push[-2:] == ["dvc", "push"]
    assert all(words[:3] == ["uv", "run", "dvc"] for words in settings)
    dvc_lines(folder, *(words[3:] for words in settings))


def dvc_lines(folder: Path, *lines: list[str]) -> str:
    """What several DVC commands print that have to succeed, in one process, since DVC takes seconds to load."""
    script = (
        "import json, sys; from dvc.cli import main; sys.exit(any([main(words) for words in json.loads(sys.argv[1])]))"
    )
    return run(folder, sys.executable, "-c", script, json.dumps(lines))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_the_line_of_the_page_prints_what_is_damaged_in_the_cache(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/remotes.md").read_text(encoding="utf-8")
    match = re.search(r'^uv run python -c "(.*)"$', page, re.MULTILINE)
    assert match
    # Names as DVC gives them: of a file, and of the list of a folder.
    for name in ("90/0150983cd24fb0d6963f7d28e17f72", "d7/51713988987e9331980363e24189ce.dir"):
        path = tmp_path / ".dvc/cache/files/md5" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"abc" if path.suffix == "" else b"[]")
    assert run(tmp_path, sys.executable, "-c", match[1]) == ""
    path.write_bytes(b"[ ")
    assert run(tmp_path, sys.executable, "-c", match[1]) == f".dvc/cache/files/md5/{name}\n"


class Remote:
    """A place to push to; `title` is the page's, `values` are what stands for its examples."""

    title: str
    values: dict[str, str]

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.store.mkdir()

    @abstractmethod
    def start(self) -> None:
        """Serve, if it takes a server."""

    @abstractmethod
    def stop(self) -> None:
        """Kill the server with all its children."""

    def stored(self) -> int:
        """How many files there are, unfinished ones included."""
        return sum(path.is_file() for path in self.store.rglob("*"))

    def damage(self) -> None:
        """Flip two bytes in the largest object."""
        largest = max((path for path in self.store.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        largest.chmod(0o644)
        largest.write_bytes(flipped(largest.read_bytes()))


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 2]) + content[middle + 2 :]


class SharedFolder(Remote):
    title = "A shared folder"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.values = {"/mnt/shared/breast": str(self.store)}


class Server(Remote):
    """A remote behind a process that listens on a port of this machine."""

    program: str
    package: str

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What serves."""

    def start(self) -> None:
        if not shutil.which(self.program):
            pytest.skip(f"{self.program} is missing: apt-get install {self.package}")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log)
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail((self.folder / "log").read_text())

    def stop(self) -> None:
        if self.process:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()
            self.process = None


class Ssh(Server):
    title, program, package = "SSH", "/usr/sbin/sshd", "openssh-server"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.values = {
            "ssh://me@example.org/breast": f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{self.store}",
            "~/.ssh/id_ed25519": str(folder / "key"),
        }

    def command(self) -> list[str]:
        for name in ("key", "host_key"):
            if not (self.folder / name).exists():
                run(self.folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
        Path("/run/sshd").mkdir(exist_ok=True)
        settings = {
            "ListenAddress": "127.0.0.1",
            "Port": self.port,
            "HostKey": self.folder / "host_key",
            "AuthorizedKeysFile": self.folder / "key.pub",
            "PidFile": "none",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "yes",
            "StrictModes": "no",
            "UsePAM": "no",
            "Subsystem": "sftp internal-sftp",
        }
        (self.folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        return [self.program, "-D", "-e", "-f", str(self.folder / "sshd_config")]


class WebDav(Server):
    title, program, package = "WebDAV", "/usr/sbin/nginx", "nginx-light libnginx-mod-http-dav-ext"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.values = {"webdavs://example.org/breast": f"webdav://127.0.0.1:{self.port}", "MY_PASSWORD": SECRET}

    def command(self) -> list[str]:
        (self.folder / "users").write_text(f"me:{{PLAIN}}{SECRET}\n")
        spools = "".join(f"{kind}_temp_path {kind}; " for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(f"""
            load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
            daemon off; pid nginx.pid; error_log stderr; user {getpass.getuser()};
            events {{}}
            http {{
                access_log off; {spools} client_max_body_size 0; client_body_temp_path {self.store}/unfinished;
                server {{
                    listen 127.0.0.1:{self.port}; root {self.store}; auth_basic remote; auth_basic_user_file users;
                    location / {{
                        dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;
                        create_full_put_path on;
                    }}
                }}
            }}
        """)
        return [self.program, "-p", str(self.folder), "-c", "nginx.conf"]


class S3(Server):
    title, program, package = "S3 and compatible", sys.executable, "python3"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.values = {"https://s3.example.org": self.endpoint, "MY_KEY": "somebody", "MY_SECRET": SECRET}

    def command(self) -> list[str]:
        return [self.program, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)]

    def start(self) -> None:
        super().start()
        keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        self.bucket = boto3.resource("s3", endpoint_url=self.endpoint, **keys).create_bucket(Bucket="my-bucket")

    def stored(self) -> int:
        return sum(1 for _ in self.bucket.objects.all())

    def damage(self) -> None:
        largest = max(self.bucket.objects.all(), key=lambda entry: entry.size)
        largest.put(Body=flipped(largest.get()["Body"].read()))


@pytest.fixture(params=[SharedFolder, S3, Ssh, WebDav], ids=lambda kind: kind.title)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    """Each kind of remote, serving."""
    (tmp_path / "server").mkdir()
    serving: Remote = request.param(tmp_path / "server")
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture
def pusher(working_copy: Path, remote: Remote) -> Path:
    """The tiny run with the remote set up as the page says, and committed."""
    configure(working_copy, remote.title, remote.values)
    commit(working_copy, "Add a remote")
    return working_copy


@pytest.fixture
def new_clone(pusher: Path, tmp_path: Path, remote: Remote) -> Callable[[str], Path]:
    """Clone what was pushed, by Git alone, with the keys to the remote."""

    def make(name: str) -> Path:
        run(tmp_path, "git", "clone", "--quiet", str(pusher), name)
        if (pusher / ".dvc/config.local").exists():
            shutil.copy(pusher / ".dvc/config.local", tmp_path / name / ".dvc/config.local")
        return tmp_path / name

    return make


@pytest.mark.parametrize("title", ["Google Cloud", "Azure"])
def test_dvc_takes_the_settings_of_a_remote_that_cannot_be_served_here(tmp_path: Path, title: str) -> None:
    run(tmp_path, "git", "init", "--quiet")
    dvc(tmp_path, "init", "--quiet")
    configure(tmp_path, title, {})
    assert "storage" in dvc(tmp_path, "remote", "list")


def no_key_is_in_git(folder: Path) -> bool:
    """Whether no commit holds the key, and Git would add nothing that does."""
    commits = run(folder, "git", "rev-list", "--all").split()
    leaked = attempt(folder, "git", "grep", "--quiet", SECRET, *commits).returncode == 0
    return not leaked and run(folder, "git", "status", "--porcelain") == ""


def test_what_is_pushed_is_pulled_elsewhere_damage_is_told_and_no_key_gets_into_git(
    remote: Remote, pusher: Path, new_clone: Callable[[str], Path]
) -> None:
    assert SECRET not in remote.values.values() or SECRET in (pusher / ".dvc/config.local").read_text()
    assert no_key_is_in_git(pusher)
    assert "verify = true" in run(pusher, "git", "show", "HEAD:.dvc/config")
    dvc(pusher, "push")
    puller = new_clone("puller")
    assert "up to date" in dvc_lines(puller, ["pull"], ["status"])
    assert (puller / "models/fold-0.keras").read_bytes() == (pusher / "models/fold-0.keras").read_bytes()
    remote.damage()
    deceived = attempt(new_clone("deceived"), *DVC, "pull")
    assert deceived.returncode != 0
    assert "failed to pull" in deceived.stderr


@pytest.mark.long
@pytest.mark.parametrize("remote", [Ssh], ids=["SSH"], indirect=True)
def test_folds_trained_on_several_machines_are_evaluated_on_one_that_trains_none(
    pusher: Path, new_clone: Callable[[str], Path]
) -> None:
    params = (pusher / "params.yaml").read_text(encoding="utf-8")
    (pusher / "params.yaml").write_text(params.replace("epochs: 3", "epochs: 1"), encoding="utf-8")
    commit(pusher, "Train for one epoch")
    dvc(pusher, "push")
    machines = [new_clone(f"machine-{fold}") for fold in (0, 1)]
    for fold, machine in enumerate(machines):
        assert f"Running stage 'train@{fold}'" in dvc(machine, "repro", "--pull", f"train@{fold}", f"predict@{fold}")
        dvc(machine, "push", "--run-cache")
    collector = new_clone("collector")
    printed = dvc(collector, "repro", "--pull")
    for fold, machine in enumerate(machines):
        assert f"Stage 'train@{fold}' is cached" in printed
        assert f"Stage 'predict@{fold}' is cached" in printed
        name = f"models/fold-{fold}.keras"
        assert (collector / name).read_bytes() == (machine / name).read_bytes()
        assert (collector / f"metrics/train/fold-{fold}/record.json").exists()
    assert "Running stage 'evaluate'" in printed
    assert "up to date" in dvc(collector, "status")


@pytest.mark.parametrize("remote", [S3, Ssh, WebDav], ids=lambda kind: kind.title, indirect=True)
def test_a_push_that_the_server_did_not_survive_is_completed_by_the_next(
    remote: Remote, pusher: Path, new_clone: Callable[[str], Path]
) -> None:
    # Large enough that it is still under way when the server ends.
    (pusher / "large").write_bytes(bytes(range(256)) * 2**19)
    (pusher / "many").mkdir()
    for number in range(200):
        (pusher / f"many/{number}").write_text(f"{number}")
    dvc(pusher, "add", "--quiet", "large", "many")
    commit(pusher, "Add something large and something of many parts")
    # Without it the client of S3 waits half a minute for the server to come back.
    variables = os.environ | {"AWS_MAX_ATTEMPTS": "1"}
    quiet = subprocess.DEVNULL
    push = subprocess.Popen([*DVC, "push"], cwd=pusher, env=variables, stdout=quiet, stderr=quiet)
    while remote.stored() < 5:
        assert push.poll() is None, "it has ended before the server could be killed"
        time.sleep(0.002)
    remote.stop()
    assert push.wait() != 0
    remote.start()
    dvc(pusher, "push")
    puller = new_clone("puller")
    assert "up to date" in dvc_lines(puller, ["pull"], ["status"])
