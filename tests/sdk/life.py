#!/usr/bin/env python3
"""Runs the official tools against `fleetwright cloud serve`, and says what is not as it should be."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

# Nothing here goes through a proxy, or by a key of the person who runs it.
for name in list(os.environ):
    if name.upper().endswith("_PROXY") or name.upper().startswith("TENCENTCLOUD_"):
        del os.environ[name]
os.environ["NO_PROXY"] = "*"
# The SDK asks for the time in a way that newer versions of Python frown on.
warnings.filterwarnings("ignore", category=DeprecationWarning)

import access  # noqa: E402
import cli  # noqa: E402
import passes  # noqa: E402
from checks import Failure, counts, say  # noqa: E402
from clients import Cloud  # noqa: E402
from server import Server  # noqa: E402
from story import Story  # noqa: E402


def story(binary: Path) -> None:
    with Server(binary, "--profile", "quick") as server:
        Story(Cloud(server)).tell()
        told(server)


def entry(binary: Path) -> None:
    with Server(binary, "--profile", "instant") as server:
        access.run(Cloud(server))


def commands(binary: Path) -> None:
    with Server(binary, "--profile", "quick") as server:
        cli.run(server)
        told(server)


def told(server: Server) -> None:
    """How much a server was asked, by its own log."""
    log = server.log()
    actions, refusals = {line["action"] for line in log}, {line["outcome"] for line in log} - {"ok"}
    say(f"    {len(log)} requests, {len(actions)} actions, {len(refusals)} codes of refusal")


def rules(binary: Path) -> None:
    codes = passes.restarted(binary)
    say(f"    {counts.rules} rules, {len(codes)} codes of refusal")


PARTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "story": ("a whole life by the SDK", story),
    "access": ("who is let in, and how", entry),
    "tccli": ("a life by tccli", commands),
    "rules": ("documented rules, in a cloud that is kept in a file", rules),
    "rates": ("a throttled life", passes.throttled),
}


# It is busy with starting Python most of the time, and the others with waiting: they go on beside each other.
ASIDE = "tccli"


@contextmanager
def aside(binary: Path, parts: list[str]) -> Iterator[Callable[[], list[str]] | None]:
    """Runs that part in a process of its own, where there are others; gives what tells how it ended."""
    if ASIDE not in parts or len(parts) == 1:
        yield None
        return
    command = [sys.executable, str(Path(__file__).resolve()), str(binary), ASIDE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end() -> list[str]:
        said, _ = process.communicate()
        say(said.rstrip())
        return [] if process.returncode == 0 else [ASIDE]

    try:
        yield end
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate()


def run(binary: Path, name: str) -> list[str]:
    """Runs a part; its name, where it failed."""
    title, part = PARTS[name]
    say(f"{name}: {title}")
    start = time.monotonic()
    failed = []
    try:
        part(binary)
    except Exception as error:
        # What else goes wrong has to be looked for in the code: its place is told as well.
        if not isinstance(error, Failure):
            sys.excepthook(type(error), error, error.__traceback__)
        say(f"  FAILED: {error}")
        failed.append(name)
    say(f"  {time.monotonic() - start:.1f} s")
    return failed


def stop(*_: object) -> None:
    # Once is enough: whoever cleans up is not to be disturbed.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=Path, help="the program, such as target/debug/fleetwright")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"what to run; silent: all of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    parts: list[str] = arguments.parts or list(PARTS)
    for unknown in set(parts) - set(PARTS):
        parser.error(f"there is no part {unknown}: {', '.join(PARTS)}")
    binary = arguments.binary.resolve()
    if not binary.is_file():
        parser.error(f"there is no {arguments.binary}: build it first")
    # So that whatever was started is stopped, too.
    signal.signal(signal.SIGTERM, stop)
    begin = time.monotonic()
    failed: list[str] = []
    with aside(binary, parts) as end:
        for name in parts:
            if end is None or name != ASIDE:
                failed += run(binary, name)
        say(
            f"{counts.checks} checks, {counts.rules} rules and {counts.refusals} other refusals, {counts.polls} polls,"
            f" {counts.commands} commands of tccli, in {time.monotonic() - begin:.0f} s"
        )
        if end is not None:
            failed += end()
    if failed:
        say(f"failed: {', '.join(failed)}")
        return 1
    say("all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
