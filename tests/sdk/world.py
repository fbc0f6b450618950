"""What the rules are tried on: machines and images of every kind that a rule speaks of, made by the SDK."""

from __future__ import annotations

import base64
from typing import Any

from checks import until
from clients import GZ, Cloud, ask, image, instances, launch, made, public_image, ready, settled
from server import uin

# Small enough to be reached.
LIMITS = "images_per_region: 9\naccounts_per_image: 3\ninstances_per_zone: 20\n"
MOST_IMAGES, MOST_INSTANCES = 9, 20
WINDOWS = "Windows Server 2022 DataCenter 64bit"
ARM = "Ubuntu Server 22.04 LTS 64bit ARM64"
CENTOS = "CentOS 7.9 64bit"


def bucket(file: str, region: str = GZ) -> str:
    return f"https://bucket-1250000000.cos.{region}.myqcloud.com/{file}"


def imported(name: str, **more: Any) -> dict[str, Any]:
    """The parameters of a small import."""
    return {
        "Architecture": "x86_64",
        "OsType": "CentOS",
        "OsVersion": "7",
        "ImageUrl": bucket("disk.qcow2"),
        "ImageName": name,
        **more,
    }


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


class World:
    """Ids by what they stand for. Nothing takes any time while it is made."""

    def __init__(self, cloud: Cloud) -> None:
        own = cloud.cvm()
        partner = cloud.cvm(account=2)
        self.ubuntu, self.centos = public_image(own), public_image(own, CENTOS)
        self.windows, self.arm = public_image(own, WINDOWS), public_image(own, ARM)

        def machine(image_id: str, **more: Any) -> str:
            return made(own, launch(image_id, **more))[0]

        keyless: dict[str, Any] = {"LoginSettings": {"Password": "Correct-Horse-1"}}
        disk = {"DataDisks": [{"DiskSize": 20, "DiskType": "CLOUD_PREMIUM"}]}
        self.running = machine(self.ubuntu, InstanceName="running", **disk)
        self.other = machine(self.ubuntu, InstanceName="other", **disk)
        self.stopped = machine(self.ubuntu, InstanceName="stopped")
        ask(own, "StopInstances", {"InstanceIds": [self.stopped]})
        self.protected = machine(self.ubuntu, InstanceName="protected", DisableApiTermination=True)
        self.fast = machine(self.ubuntu, InstanceName="fast", SystemDisk={"DiskType": "CLOUD_HSSD"})
        self.windows_machine = machine(self.windows, InstanceName="windows", **keyless)
        self.arm_machine = machine(self.arm, InstanceName="arm", InstanceType="SR1.MEDIUM2")
        for one in (self.fast, self.arm_machine):
            ask(own, "StopInstances", {"InstanceIds": [one]})
        bought = {"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": 1}}
        self.prepaid = machine(self.ubuntu, InstanceName="prepaid", **bought)
        self.returned = machine(self.ubuntu, InstanceName="returned", **bought)
        ask(own, "TerminateInstances", {"InstanceIds": [self.returned]})
        settled(own, [self.returned], "SHUTDOWN")
        self.asked = launch(self.ubuntu, InstanceName="small", SystemDisk={"DiskSize": 20}, ClientToken="across")
        self.small = made(own, self.asked)[0]

        found = instances(own, [self.running, self.other])
        self.system_disk = found[0].SystemDisk.DiskId
        self.data_disk, self.other_disk = (one.DataDisks[0].DiskId for one in found)
        self.address = found[0].PrivateIpAddresses[0]
        self.vpc, self.subnet = found[0].VirtualPrivateCloud.VpcId, found[0].VirtualPrivateCloud.SubnetId

        def custom(name: str, action: str, client: Any = own, **params: Any) -> str:
            image_id = ask(client, action, {"ImageName": name, **params}).ImageId
            ready(client, image_id)
            return image_id

        self.free = custom("free", "CreateImage", InstanceId=self.running)
        self.whole = custom("whole", "CreateImage", InstanceId=self.running, DataDiskIds=[self.data_disk])
        self.shared = custom("shared", "CreateImage", InstanceId=self.running)
        self.byol = custom("byol", "ImportImage", **imported("byol", LicenseType="BYOL"))
        copied = {"ImageIds": [self.free], "DestinationRegions": [GZ], "Encrypt": True, "ImageName": "encrypted"}
        self.encrypted = ask(own, "SyncImages", {**copied, "ImageSetRequired": True}).ImageSet[0].ImageId
        ready(own, self.encrypted)
        self.sealed = machine(self.encrypted, InstanceName="sealed")
        share = {"ImageId": self.shared, "AccountIds": [uin(2)], "Permission": "SHARE"}
        ask(own, "ModifyImageSharePermission", share)
        snapshots = {one.DiskUsage: one.SnapshotId for one in image(own, self.whole).SnapshotSet}
        self.data_snapshot, self.system_snapshot = snapshots["DATA_DISK"], snapshots["SYSTEM_DISK"]
        self.free_snapshot = image(own, self.free).SnapshotSet[0].SnapshotId

        # Of the second account: what it had before, what it shares with the first, and what it keeps to itself.
        mine = {"Filters": [{"Name": "image-type", "Values": ["PRIVATE_IMAGE"]}]}
        self.partner_before = {one.ImageName: one.ImageId for one in ask(partner, "DescribeImages", mine).ImageSet}
        theirs = made(partner, launch(public_image(partner), account=2, SecurityGroupIds=["sg-00000002"]))[0]
        self.theirs = theirs
        self.received = custom("received", "CreateImage", partner, InstanceId=theirs)
        self.private = custom("private", "CreateImage", partner, InstanceId=theirs)
        share = {"ImageId": self.received, "AccountIds": [uin(1)], "Permission": "SHARE"}
        ask(partner, "ModifyImageSharePermission", share)
        until("the received image is seen", lambda: image(own, self.received), lambda found: found is not None)
