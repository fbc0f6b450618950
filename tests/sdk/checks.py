"""What is expected, and what is told where it is not so."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterable, TypeVar, Union

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

T = TypeVar("T")
Codes = Union[str, "tuple[str, ...]"]

# Longer than anything takes here, also on a machine that is busy with other things.
PATIENCE_S = 60.0
GLANCE_S = 0.1


class Failure(Exception):
    """Something is not as it should be."""


class Counts:
    """How much was looked at; it is printed at the end."""

    def __init__(self) -> None:
        self.checks = 0
        self.refusals = 0
        self.rules = 0
        self.polls = 0
        self.commands = 0


counts = Counts()


def say(text: str) -> None:
    print(text, flush=True)


def step(text: str) -> None:
    say(f"  - {text}")


def holds(what: str, is_so: bool, found: Any = "") -> None:
    counts.checks += 1
    if not is_so:
        told = f": found {found!r}" if found != "" else ""
        raise Failure(f"it does not hold that {what}{told}")


def same(what: str, found: Any, expected: Any) -> None:
    counts.checks += 1
    if found != expected:
        raise Failure(f"{what}: found {found!r}, expected {expected!r}")


def same_set(what: str, found: Iterable[Any], expected: Iterable[Any]) -> None:
    same(what, sorted(found), sorted(expected))


def is_one_of(code: str, expected: Codes) -> bool:
    return code in (expected if isinstance(expected, tuple) else (expected,))


def in_words(expected: Codes) -> str:
    return " or ".join(expected) if isinstance(expected, tuple) else expected


def refusal(what: str, expected: Codes, act: Callable[[], Any]) -> TencentCloudSDKException:
    """The tool's own error, which has to bear one of these codes."""
    counts.refusals += 1
    try:
        answer = act()
    except TencentCloudSDKException as error:
        code = error.get_code()
        if not is_one_of(code, expected):
            found = f"refused with {code} ({error.get_message()})"
            raise Failure(f"{what}: {found}, expected {in_words(expected)}") from error
        holds("a refusal bears the id of its request", bool(error.get_request_id()))
        return error
    raise Failure(f"{what}: accepted, expected {in_words(expected)}; the answer: {answer}")


def passed(what: str, seen: Iterable[str], on_the_way: str, end: str) -> None:
    """Whether no other states were seen; on a machine that is busy with other things nobody may have looked in between."""
    states = list(seen)
    same_set(f"states of {what} but {on_the_way}, {end}", set(states) - {on_the_way, end, ""}, [])
    same(f"the state of {what} in the end", states[-1], end)


def until(what: str, look: Callable[[], T], done: Callable[[T], bool]) -> list[T]:
    """Looks again and again, as clients do, and returns all that was seen on the way; the last of it is what was waited for."""
    seen = []
    deadline = time.monotonic() + PATIENCE_S
    while True:
        counts.polls += 1
        seen.append(look())
        if done(seen[-1]):
            return seen
        if time.monotonic() > deadline:
            raise Failure(f"waited {PATIENCE_S:.0f} s in vain until {what}; the last that was seen: {seen[-1]}")
        time.sleep(GLANCE_S)
