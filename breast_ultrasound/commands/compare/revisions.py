"""Runs as Git and DVC keep them: commits, branches, tags, experiments, and what is checked out."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from breast_ultrasound.pipeline.errors import UserError


@dataclass(frozen=True)
class Revision:
    """A run and the name that the user gave it; `commit` is None for the working tree."""

    name: str
    commit: str | None

    def read(self, path: Path) -> str:
        """Read a text file that Git keeps; UserError where the revision has none."""
        if self.commit is None:
            try:
                return path.read_text(encoding="utf-8")
            except FileNotFoundError as error:
                raise UserError(f"{path}: not found. Make it with `uv run dvc repro`.") from error
        text = _git("show", f"{self.commit}:{path.as_posix()}")
        if text is None:
            raise UserError(f"{self.name}: holds no {path}. Name a commit in which the pipeline has been run.")
        return text

    def fetch(self, files: Iterable[Path], folder: Path) -> None:
        """Copy files and folders that DVC or Git keeps to the same places below `folder`; `*` stands for anything.

        UserError where one is neither in DVC's cache nor in a remote.
        """
        # Only now, since DVC takes a second to load.
        from dvc.api import DVCFileSystem  # noqa: PLC0415
        from dvc.exceptions import DvcException  # noqa: PLC0415
        from dvc_data.index import DataIndexDirError  # noqa: PLC0415

        kept = DVCFileSystem(".", rev=self.commit)
        for pattern in files:
            try:
                for path in kept.glob(pattern.as_posix()) or [pattern.as_posix()]:
                    target = folder / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    kept.get(path, str(target), recursive=True)
            except (DvcException, DataIndexDirError, OSError) as error:
                raise UserError(
                    f"{self.name}: its {pattern} is neither in DVC's cache nor in a remote. Check that commit out and "
                    "make it with `uv run dvc repro --pull`."
                ) from error


def find(name: str) -> Revision:
    """Find the commit or the experiment of a name; UserError where there is none, or more than one."""
    commit = _git("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
    experiments = (_git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}") or "").split()
    commits = [commit.strip()] if commit else experiments
    if not commits:
        raise UserError(f"{name}: neither a Git revision nor an experiment (`uv run dvc exp list --all` lists these).")
    if len(commits) > 1:
        raise UserError(f"{name}: several experiments have this name; give the hash of one: {', '.join(commits)}")
    return Revision(name, commits[0])


def _git(*arguments: str) -> str | None:
    """Run Git and return what it prints, or None where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    return done.stdout.decode("utf-8") if done.returncode == 0 else None
