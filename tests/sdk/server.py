"""The program that is tried: its server as a process of its own, and the keys that it tells."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from checks import PATIENCE_S, Failure, holds, same

FAREWELL_S = 20


def environment(**more: str) -> dict[str, str]:
    """The environment without what would lead a tool elsewhere: keys, profiles, proxies.

    And without what keeps Python from remembering what it compiled: tccli starts three times as fast then.
    """
    elsewhere = ("TENCENTCLOUD_", "TCCLI_", "TKE_", "PYTHONDONTWRITEBYTECODE")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(elsewhere) and not name.upper().endswith("_PROXY")
    }
    return {**kept, "NO_PROXY": "*", "PYTHONWARNINGS": "ignore", **more}


class Server:
    """`fleetwright cloud serve` on a free port of this machine, in a directory of its own.

    It is stopped as a service manager does it, and has to end with 0. Where something else failed before, it is only
    stopped.
    """

    def __init__(self, binary: Path, *options: str, place: Path | None = None) -> None:
        self.binary = binary
        self.options = options
        self.own_place: tempfile.TemporaryDirectory[str] | None = None
        if place is None:
            self.own_place = tempfile.TemporaryDirectory(prefix="fleetwright-sdk-")
            place = Path(self.own_place.name)
        self.place = place
        self.process: subprocess.Popen[str] | None = None
        self.address = ""

    def __enter__(self) -> Server:
        command = [str(self.binary), "cloud", "serve", "--listen", "127.0.0.1:0", "--log", "requests.log"]
        self.process = subprocess.Popen(
            [*command, *self.options],
            cwd=self.place,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self.address = self.first_line()
        except BaseException:
            self.stop(judge=False)
            raise
        return self

    def first_line(self) -> str:
        """Where it says that it listens. Where it does not start it ends, or is ended, and says nothing."""
        assert self.process is not None and self.process.stdout is not None
        impatience = threading.Timer(PATIENCE_S, self.process.kill)
        impatience.start()
        first = self.process.stdout.readline()
        impatience.cancel()
        found = re.fullmatch(r"listening on http://(127\.0\.0\.1:\d+)\n", first)
        if found is None:
            self.process.kill()
            _, said = self.process.communicate()
            raise Failure(f"the server did not start: it printed {first!r} and {said!r}")
        return found.group(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop(judge=kind is None)
        finally:
            if self.own_place is not None:
                self.own_place.cleanup()

    def stop(self, judge: bool = True) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=FAREWELL_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            if judge:
                raise Failure(f"the server did not stop within {FAREWELL_S} s of SIGTERM") from None
            return
        if judge:
            same(f"the exit code of the server after SIGTERM (it said {said!r})", process.returncode, 0)
            holds("the server says that it stopped", "Stopped." in said, said)

    def log(self) -> list[dict[str, Any]]:
        """What it noted of each request so far."""
        text = (self.place / "requests.log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


def keys(binary: Path, account: int) -> tuple[str, str]:
    """SecretId and SecretKey of an account, as `cloud credentials` prints them for a shell."""
    command = [str(binary), "cloud", "credentials", "--account", uin(account)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    found = dict(re.findall(r"export (TENCENTCLOUD_SECRET_(?:ID|KEY))='?([^'\n]+)'?", done.stdout))
    if done.returncode != 0 or len(found) != 2:
        raise Failure(f"`cloud credentials` printed no keys: {done.stdout!r} {done.stderr!r}")
    return found["TENCENTCLOUD_SECRET_ID"], found["TENCENTCLOUD_SECRET_KEY"]


def uin(account: int) -> str:
    """The number of the first, second, … main account."""
    return f"10000000{account:04d}"
