"""Shorter lives under other conditions: throttled, and with the server started anew in their middle."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Callable, TypeVar

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.retry import StandardRetryer
from tencentcloud.cvm.v20170312.cvm_client import CvmClient

import busy
import rules
import rules_images
import rules_instances
import rules_launches
from checks import holds, same, step
from clients import Cloud, ask, gone, image, launch, public_image, ready
from server import Server, uin
from world import LIMITS, World

T = TypeVar("T")
THROTTLED = "RequestLimitExceeded"
# More than twice as many as a second allows: wherever it ends, one of two has too many.
LAUNCHES = 25
TABLES = [
    rules_instances.requests,
    rules_images.image_reads,
    rules_images.captures,
    rules_images.image_changes,
    rules_images.shares,
    rules_images.copies,
    rules_images.imports,
    rules_launches.launches,
    rules_instances.instance_reads,
    rules_instances.instance_changes,
    rules_instances.resets,
    rules_instances.tag_rules,
]


class Retryer(StandardRetryer):
    """The SDK's retryer: what is tried again, and how long after, is its own.

    Its loop is not: up to version 3.1.195 it still holds the fault of one attempt when the next has succeeded, and never
    returns what a second attempt was answered.
    """

    def send_request(self, fn: Callable[[], T]) -> T:
        for attempt in range(self._max_attempts - 1):
            try:
                return fn()
            except TencentCloudSDKException as error:
                if not self.should_retry(None, error):
                    raise
                time.sleep(self._backoff_fn(attempt))
        return fn()


def throttled(binary: Path) -> None:
    """More requests than the default rates allow, by a client that tries again."""
    with Server(binary, "--profile", "instant", "--rate-limits") as server:
        cloud = Cloud(server)

        def outcomes(action: str) -> list[str]:
            return [line["outcome"] for line in server.log() if line["action"] == action]

        step("a burst of reads is throttled, and the code is one that the SDK tries again")
        client = cloud.cvm()
        refusals = set()
        for _ in range(25):
            try:
                ask(client, "DescribeImageQuota")
            except TencentCloudSDKException as error:
                refusals.add(error.get_code())
        same("what a burst meets", refusals, {THROTTLED})
        ours = StandardRetryer.should_retry(None, TencentCloudSDKException(THROTTLED))
        holds("the SDK tries that again", ours)
        ask(cloud.cvm(account=2), "DescribeImageQuota")
        time.sleep(1.1)
        before = len(outcomes("DescribeImageQuota"))
        impatient = cloud.cvm(retryer=StandardRetryer(max_attempts=2, backoff_fn=lambda _: 1.1))
        for _ in range(11):
            try:
                ask(impatient, "DescribeImageQuota")
            except TencentCloudSDKException as error:
                same("the fault that the SDK's own loop holds on to", error.get_code(), THROTTLED)
        seen = outcomes("DescribeImageQuota")[before:]
        if THROTTLED in seen:
            same("the attempt after one that was throttled", seen[seen.index(THROTTLED) + 1], "ok")

        step("a life that is throttled all the time comes to its end, and nothing is made twice")
        short_life(cloud.cvm(retryer=Retryer(max_attempts=5)), cloud.cvm(account=2, retryer=Retryer(max_attempts=5)))
        made_so_often = outcomes("RunInstances").count("ok")
        same("launches that were carried out", made_so_often, LAUNCHES)
        holds("launches were throttled", THROTTLED in outcomes("RunInstances"))


def short_life(own: CvmClient, partner: CvmClient) -> None:
    """Launches in a row, an image, shares in a row, and the end."""
    ubuntu = public_image(own)
    ids = [ask(own, "RunInstances", launch(ubuntu, InstanceName=f"one-{n}")).InstanceIdSet[0] for n in range(LAUNCHES)]
    same("how many there are", ask(own, "DescribeInstances", {"Limit": 100}).TotalCount, LAUNCHES)
    golden = ask(own, "CreateImage", {"ImageName": "golden", "InstanceId": ids[0]}).ImageId
    ready(own, golden)
    for permission in ("SHARE", "CANCEL") * 6:
        params = {"ImageId": golden, "AccountIds": [uin(2)], "Permission": permission}
        ask(own, "ModifyImageSharePermission", params)
        same("whether the other account sees it", image(partner, golden) is not None, permission == "SHARE")
    ask(own, "DeleteImages", {"ImageIds": [golden], "DeleteBindedSnap": True})
    ask(own, "TerminateInstances", {"InstanceIds": ids})
    gone(own, ids)


def restarted(binary: Path) -> set[str]:
    """The rules, in a cloud that is kept in a file; then the server is started anew on it, and all takes its time.

    Returns the codes that were met.
    """
    codes: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="fleetwright-sdk-") as directory:
        place = Path(directory)
        (place / "limits.yaml").write_text(LIMITS, encoding="utf-8")
        kept = ("--data", "cloud.db", "--limits", "limits.yaml")
        with Server(binary, "--profile", "instant", *kept, place=place) as server:
            cloud = Cloud(server)
            step("machines and images of all kinds")
            world = World(cloud)
            table = [rule for rules_of in TABLES for rule in rules_of(world)]
            step(f"{len(table)} rules, one after the other")
            rules.judge(rules.broken_rules(cloud, table, codes))
            busy.nothing_changed(cloud, world)
        with Server(binary, "--profile", "realistic", *kept, place=place) as server:
            step("the server started anew: everything is there")
            cloud = Cloud(server)
            again = ask(cloud.cvm(), "RunInstances", world.asked).InstanceIdSet
            same("what a token of before makes", again, [world.small])
            busy.nothing_changed(cloud, world)
            for what, rules_of in [
                ("on instances", busy.instance_rules), ("with images", busy.image_rules), ("beyond quotas", busy.quota_rules),
            ]:  # fmt: skip
                step(f"what is refused while something is under way: {what}")
                # One by one: what is begun comes to its end some time.
                broken = [line for rule in rules_of(cloud, world) for line in rules.broken_rules(cloud, [rule], codes)]
                rules.judge(broken)
    return codes - {""}
