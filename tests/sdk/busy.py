"""What is refused while something else is under way. Everything takes minutes here, so that nothing passes meanwhile."""

from __future__ import annotations

from typing import Any, Iterator

from checks import Codes, holds, same, same_set
from clients import GZ, SH, Cloud, ask, image, instances, launch
from rules import Rule, ids
from server import uin
from world import MOST_IMAGES, World, imported

IN_PROGRESS = ("OperationDenied.InstanceOperationInProgress", "MutexOperation.TaskRunning")
IMAGE_BUSY = (
    "InvalidImageId.IncorrectState",
    "FailedOperation.InvalidImageState",
    "InvalidParameterValue.InvalidImageState",
)


def acts_on(
    instance: str, what: str, code: Codes, capture: Codes | None = None, resize: Codes | None = None
) -> Iterator[Rule]:
    """Everything that may be asked of an instance, and is refused."""
    for act in ("TerminateInstances", "StartInstances", "StopInstances", "RebootInstances"):
        yield Rule(what, act, ids(instance), code)
    yield Rule(what, "ModifyInstancesAttribute", {**ids(instance), "InstanceName": "x"}, code)
    yield Rule(what, "ResetInstance", {"InstanceId": instance}, code)
    yield Rule(what, "ResetInstancesType", {**ids(instance), "InstanceType": "S5.LARGE8"}, resize or code)
    yield Rule(what, "CreateImage", {"ImageName": "new", "InstanceId": instance}, capture or code)


def acts_with(image_id: str, what: str, instance: str) -> Iterator[Rule]:
    """Everything that takes an image which is at rest, and is refused."""
    yield Rule(what, "DeleteImages", {"ImageIds": [image_id]}, "InvalidImageId.IncorrectState")
    yield Rule(what, "ModifyImageAttribute", {"ImageId": image_id, "ImageName": "x"}, "InvalidImageId.IncorrectState")
    share = {"ImageId": image_id, "AccountIds": [uin(3)], "Permission": "SHARE"}
    yield Rule(what, "ModifyImageSharePermission", share, "InvalidParameterValue.InvalidImageState")
    yield Rule(what, "SyncImages", {"ImageIds": [image_id], "DestinationRegions": [SH]}, IMAGE_BUSY)
    yield Rule(what, "RunInstances", launch(image_id), "InvalidParameterValue.InvalidImageState")
    reset = {"InstanceId": instance, "ImageId": image_id}
    yield Rule(what, "ResetInstance", reset, "InvalidParameterValue.InvalidImageState")


def instance_rules(cloud: Cloud, w: World) -> Iterator[Rule]:
    """Begins one thing after the other, and tells what is refused meanwhile."""
    own = cloud.cvm()

    waits: Codes

    def begin(action: str, params: dict[str, Any], instance: str, state: str) -> Any:
        answer = ask(own, action, params)
        one = instance or answer.InstanceIdSet[0]
        found = instances(own, [one])[0]
        same(f"the state after {action}", (found.InstanceState, found.LatestOperationState), (state, "OPERATING"))
        return one

    new = begin("RunInstances", launch(w.ubuntu), "", "PENDING")
    waits = (*IN_PROGRESS, "InvalidInstance.NotSupported")
    yield from acts_on(new, "being launched", "UnsupportedOperation.InstanceStatePending", waits, waits)
    begin("StopInstances", ids(w.running), w.running, "STOPPING")
    yield from acts_on(w.running, "being stopped", "UnsupportedOperation.InstanceStateStopping")
    begin("StartInstances", ids(w.stopped), w.stopped, "STARTING")
    yield from acts_on(w.stopped, "being started", "UnsupportedOperation.InstanceStateStarting")
    begin("RebootInstances", ids(w.other), w.other, "REBOOTING")
    yield from acts_on(w.other, "being rebooted", "UnsupportedOperation.InstanceStateRebooting")
    begin("TerminateInstances", ids(w.windows_machine), w.windows_machine, "TERMINATING")
    yield from acts_on(w.windows_machine, "being terminated", "UnsupportedOperation.InstanceStateTerminating")
    ask(own, "TerminateInstances", ids(w.prepaid))
    code = "UnsupportedOperation.InstanceStateIsolating"
    # These two have no code for it.
    waits = (
        code,
        "UnsupportedOperation.InstanceStateStopping",
        "UnsupportedOperation.InstanceStateShutdown",
        *IN_PROGRESS,
    )
    yield from acts_on(w.prepaid, "on its way to the recycle bin", code, waits, waits)
    ask(own, "ResetInstance", {"InstanceId": w.small})
    yield from acts_on(w.small, "being reset", IN_PROGRESS)
    ask(own, "ResetInstancesType", {**ids(w.arm_machine), "InstanceType": "SR1.MEDIUM4"})
    yield from acts_on(w.arm_machine, "becoming another type", IN_PROGRESS)


def image_rules(cloud: Cloud, w: World) -> Iterator[Rule]:
    own = cloud.cvm()
    creating = ask(own, "CreateImage", {"ImageName": "creating", "InstanceId": w.protected}).ImageId
    same("its state", image(own, creating).ImageState, "CREATING")
    yield from acts_with(creating, "an image that is being made", w.sealed)
    yield Rule(
        "two images of one instance", "CreateImage", {"ImageName": "new", "InstanceId": w.protected}, IN_PROGRESS
    )
    yield Rule("stopping what is imaged", "StopInstances", ids(w.protected), IN_PROGRESS)
    snapshot = image(own, creating).SnapshotSet[0].SnapshotId
    params = {"ImageName": "new", "SnapshotIds": [snapshot]}
    yield Rule(
        "an image of a snapshot that is being made", "CreateImage", params, "ResourceUnavailable.SnapshotCreating"
    )
    importing = ask(own, "ImportImage", imported("importing")).ImageId
    same("its state", image(own, importing).ImageState, "IMPORTING")
    yield from acts_with(importing, "an image that is being imported", w.sealed)
    copy = {"ImageIds": [w.free], "DestinationRegions": [SH], "ImageName": "copied", "ImageSetRequired": True}
    copied = ask(own, "SyncImages", copy).ImageSet[0].ImageId
    source = image(own, w.free)
    same("the state of the source", source.ImageState, "SYNCING")
    holds("it tells how far it is", source.SyncPercent in range(100), source.SyncPercent)
    yield from acts_with(w.free, "an image that is being copied", w.sealed)
    there = cloud.cvm(region=SH)
    holds("the copy is not ready either", image(there, copied).ImageState != "NORMAL")
    yield Rule(
        "deleting a copy that is being made",
        "DeleteImages",
        {"ImageIds": [copied]},
        "InvalidImageId.IncorrectState",
        region=SH,
    )
    yield Rule(
        "a copy of a name that is taken", "SyncImages", {**copy, "ImageIds": [w.whole]}, "InvalidImageName.Duplicate"
    )


def quota_rules(cloud: Cloud, w: World) -> Iterator[Rule]:
    """The images of the region used up: also by those that are not ready."""
    own = cloud.cvm()

    def used() -> int:
        kinds = {"Filters": [{"Name": "quota-type", "Values": ["ImageQuotaSet"]}]}
        return ask(own, "DescribeAccountQuota", kinds).AccountQuotaOverview.AccountQuota.ImageQuotaSet[0].UsedQuota

    same("the quota of images", ask(own, "DescribeImageQuota").ImageNumQuota, MOST_IMAGES)
    while used() < MOST_IMAGES:
        ask(own, "ImportImage", imported(f"one-more-{used()}"))
    code = "ImageQuotaLimitExceeded"
    yield Rule("one image more than there may be", "ImportImage", imported("new"), code)
    yield Rule("a dry run of one more", "ImportImage", imported("new", DryRun=True), code)
    params = {"ImageName": "new", "SnapshotIds": [w.system_snapshot]}
    yield Rule("one image more than there may be", "CreateImage", params, code)
    params = {"ImageIds": [w.received], "DestinationRegions": [GZ], "ImageName": "new"}
    yield Rule("one image more than there may be", "SyncImages", params, code)
    ask(own, "DeleteImages", {"ImageIds": [w.whole]})
    yield Rule("deleting what is being deleted", "DeleteImages", {"ImageIds": [w.whole]}, "MutexOperation.TaskRunning")


def nothing_changed(cloud: Cloud, w: World) -> None:
    """After all that was refused, everything is as it was."""
    own = cloud.cvm()
    everything = [
        w.running, w.other, w.stopped, w.protected, w.fast, w.windows_machine, w.arm_machine, w.prepaid, w.returned, w.small,
        w.sealed,
    ]  # fmt: skip
    found = ask(own, "DescribeInstances", {"Limit": 100}).InstanceSet
    same_set("the instances", [one.InstanceId for one in found], everything)
    stopped = [one.InstanceId for one in found if one.InstanceState == "STOPPED"]
    same_set("those that are stopped", stopped, [w.stopped, w.fast, w.arm_machine])
    mine = {"Filters": [{"Name": "image-type", "Values": ["PRIVATE_IMAGE"]}]}
    for client, expected in [
        (own, {"free": w.free, "whole": w.whole, "shared": w.shared, "byol": w.byol, "encrypted": w.encrypted}),
        (cloud.cvm(region=SH), {}),
        (cloud.cvm(account=2), {"received": w.received, "private": w.private, **w.partner_before}),
    ]:
        images = ask(client, "DescribeImages", mine).ImageSet
        same("the images", {one.ImageName: one.ImageId for one in images}, expected)
    shared = ask(own, "DescribeImageSharePermission", {"ImageId": w.shared}).SharePermissionSet
    same("who has the shared image", [one.AccountId for one in shared], [uin(2)])
    same("who has the free one", ask(own, "DescribeImageSharePermission", {"ImageId": w.free}).SharePermissionSet, [])
