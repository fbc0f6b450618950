"""A whole life by the SDK: machines from a public image, an image of one of them, its copies, its shares, and the end."""

from __future__ import annotations

import base64
from typing import Any

from checks import holds, passed, refusal, same, same_set, step, until
from clients import (
    BJ,
    GZ,
    SH,
    UBUNTU,
    ZONE,
    Cloud,
    ask,
    gone,
    image,
    instances,
    launch,
    made,
    plain,
    public_image,
    ready,
    refused,
    settled,
)
from server import uin

SCRIPT = base64.b64encode(b"#!/bin/sh\necho hello > /etc/motd\n").decode()
# What may be null or absent in an answer; all else is always there.
MAY_LACK_INSTANCE = {
    "PublicIpAddresses", "RenewFlag", "ExpiredTime", "LatestOperation", "LatestOperationState", "LatestOperationRequestId",
    "LatestOperationErrorMsg", "IPv6Addresses", "PublicIPv6Addresses", "CamRoleName", "RdmaIpAddresses", "GPUInfo",
    "EnableJumboFrame", "Metadata", "CpuTopology", "PartitionNumber",
}  # fmt: skip
MAY_LACK_IMAGE = {"SyncPercent", "ImageFamily", "ImageDeprecated", "CdcCacheStatus"}


def complete(what: str, found: Any, may_lack: set[str]) -> None:
    """Whether an object of the SDK has all fields of its class but for some."""
    lacking = {name[1:] for name, value in vars(found).items() if value is None} - may_lack
    same_set(f"fields that {what} lacks", lacking, [])


def tags(found: Any) -> dict[str, str]:
    return {tag.Key: tag.Value for tag in found.Tags}


class Story:
    """Told from the top to the bottom; each part goes on from what the one before left."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.own = cloud.cvm()
        self.partner = cloud.cvm(account=2)
        self.ubuntu = ""
        self.ids: list[str] = []
        self.golden = ""
        self.copies: dict[str, str] = {}
        self.launched: list[str] = []
        self.imported = ""

    def tell(self) -> None:
        self.places()
        self.public_images()
        self.prices()
        self.launch()
        self.looks()
        self.capture()
        self.copy()
        self.share()
        self.receive()
        self.take_back()
        self.reset()
        self.power()
        self.tag()
        self.neighbours()
        self.imports()
        self.quotas()
        self.end()

    def places(self) -> None:
        step("regions, zones and types")
        regions = ask(self.own, "DescribeRegions")
        same("the count of regions", regions.TotalCount, len(regions.RegionSet))
        holds("the regions are among them", {GZ, SH, BJ} <= {one.Region for one in regions.RegionSet})
        zones = ask(self.own, "DescribeZones").ZoneSet
        holds(f"{ZONE} is open", any(one.Zone == ZONE and one.ZoneState == "AVAILABLE" for one in zones))
        filters = [{"Name": "zone", "Values": [ZONE]}, {"Name": "instance-type", "Values": ["S5.MEDIUM4"]}]
        types = ask(self.own, "DescribeInstanceTypeConfigs", {"Filters": filters}).InstanceTypeConfigSet
        same("what S5.MEDIUM4 has", [(one.CPU, one.Memory) for one in types], [(2, 4)])

    def public_images(self) -> None:
        step("a public image, by filters; all of them, page by page")
        self.ubuntu = public_image(self.own)
        filters = [{"Name": "image-type", "Values": ["PUBLIC_IMAGE"]}]
        first = ask(self.own, "DescribeImages", {"Filters": filters, "Limit": 3})
        seen: list[str] = []
        for offset in range(0, first.TotalCount + 3, 3):
            page = ask(self.own, "DescribeImages", {"Filters": filters, "Offset": offset, "Limit": 3})
            same("the count that a page tells", page.TotalCount, first.TotalCount)
            same("the size of a page", len(page.ImageSet), max(0, min(3, first.TotalCount - offset)))
            seen += [one.ImageId for one in page.ImageSet]
        same("images that all pages have", len(set(seen)), first.TotalCount)
        holds("the image is on one of the pages", self.ubuntu in seen)
        found = image(self.own, self.ubuntu)
        complete("a public image", found, MAY_LACK_IMAGE)
        same("the name of the image", found.ImageName, UBUNTU)
        filters.append({"Name": "platform", "Values": ["Windows", "Debian"]})
        systems = {one.Platform for one in ask(self.own, "DescribeImages", {"Filters": filters}).ImageSet}
        same_set("what a filter with two values finds", systems, ["Debian", "Windows"])
        arm = ask(self.own, "DescribeImages", {"InstanceType": "SR1.MEDIUM2", "Filters": filters[:1]}).ImageSet
        same_set("what runs on an ARM type", {one.Architecture for one in arm}, ["arm"])

    def prices(self) -> None:
        step("what launches cost, by the hour and in advance")
        one = ask(self.own, "InquiryPriceRunInstances", launch(self.ubuntu)).Price.InstancePrice
        three = ask(self.own, "InquiryPriceRunInstances", launch(self.ubuntu, 3)).Price.InstancePrice
        same("the unit of a price", one.ChargeUnit, "HOUR")
        holds("an instance costs something", one.UnitPrice > 0, one.UnitPrice)
        holds("three cost three times as much", abs(three.UnitPrice - 3 * one.UnitPrice) < 1e-6, three.UnitPrice)
        bought: dict[str, Any] = {"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": 12}}
        year = ask(self.own, "InquiryPriceRunInstances", launch(self.ubuntu, **bought)).Price.InstancePrice
        holds("a year has its price", year.OriginalPrice >= year.DiscountPrice > 0, year.DiscountPrice)

    def launch(self) -> None:
        step("three instances, with tags, a key and user data; tried before, and asked for twice")
        wanted = launch(
            self.ubuntu,
            3,
            InstanceName="web-{R:1}",
            UserData=SCRIPT,
            ClientToken="the-first-three",
            TagSpecification=[{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": "web"}]}],
        )
        tried = ask(self.own, "RunInstances", {**wanted, "DryRun": True})
        same("what a dry run made", tried.InstanceIdSet or [], [])
        same("instances after a dry run", ask(self.own, "DescribeInstances").TotalCount, 0)
        self.ids = ask(self.own, "RunInstances", wanted).InstanceIdSet
        same("how many were made", len(set(self.ids)), 3)
        again = ask(self.own, "RunInstances", wanted).InstanceIdSet
        same_set("what the same token made", again, self.ids)
        same("how many there are", ask(self.own, "DescribeInstances").TotalCount, 3)
        self.passes(self.ids, "PENDING", "RUNNING")

    def looks(self) -> None:
        step("what is told of them, by ids, filters and pages")
        found = instances(self.own, self.ids)
        for one in found:
            complete("an instance", one, MAY_LACK_INSTANCE)
            same("its image", one.ImageId, self.ubuntu)
            same("its key pairs", one.LoginSettings.KeyIds, ["skey-8a7c6b51"])
            same("its tags", tags(one), {"app": "web"})
            same("its zone", one.Placement.Zone, ZONE)
            same("its system disk", (one.SystemDisk.DiskSize, one.SystemDisk.DiskId[:5]), (50, "disk-"))
            same("how it is paid for", one.InstanceChargeType, "POSTPAID_BY_HOUR")
            same("its last operation", (one.LatestOperation, one.LatestOperationState), ("RunInstances", "SUCCESS"))
        same_set("their names", [one.InstanceName for one in found], ["web-1", "web-2", "web-3"])
        same("how many addresses they have", len({one.PrivateIpAddresses[0] for one in found}), 3)
        for name, values in [
            ("tag:app", ["web"]), ("tag-key", ["app"]), ("zone", [ZONE]), ("instance-state", ["RUNNING"]),
            ("vpc-id", [found[0].VirtualPrivateCloud.VpcId]), ("instance-charge-type", ["POSTPAID_BY_HOUR"]),
        ]:  # fmt: skip
            listed = ask(self.own, "DescribeInstances", {"Filters": [{"Name": name, "Values": values}]})
            same_set(f"what the filter {name} finds", [one.InstanceId for one in listed.InstanceSet], self.ids)
        filters = [{"Name": "instance-name", "Values": ["web-2"]}, {"Name": "zone", "Values": ["ap-guangzhou-4"]}]
        same(
            "what two filters find that exclude each other",
            ask(self.own, "DescribeInstances", {"Filters": filters}).TotalCount,
            0,
        )
        pages = [ask(self.own, "DescribeInstances", {"Offset": n, "Limit": 1}).InstanceSet for n in range(4)]
        same("the sizes of the pages", [len(page) for page in pages], [1, 1, 1, 0])
        same_set("what the pages hold", [one.InstanceId for page in pages for one in page], self.ids)
        states = ask(self.own, "DescribeInstancesStatus", {"InstanceIds": self.ids[:2]}).InstanceStatusSet
        same("their states", [one.InstanceState for one in states], ["RUNNING", "RUNNING"])
        attributes = {"InstanceIds": self.ids[:1], "Attributes": ["UserData"]}
        data = ask(self.own, "DescribeInstancesAttributes", attributes).InstanceSet[0].Attributes.UserData
        same("the user data", data, SCRIPT)
        unknown = ask(self.own, "DescribeInstances", {"InstanceIds": ["ins-00000000"]})
        same("what an unknown id finds", (unknown.TotalCount, unknown.InstanceSet), (0, []))

    def capture(self) -> None:
        step("an image of the first")
        wanted = {
            "InstanceId": self.ids[0],
            "ImageName": "golden-1",
            "ImageDescription": "web server",
            "ImageFamily": "golden",
            "TagSpecification": [{"ResourceType": "image", "Tags": [{"Key": "app", "Value": "web"}]}],
        }
        ask(self.own, "CreateImage", {**wanted, "DryRun": True})
        same("custom images after a dry run", len(self.custom()), 0)
        self.golden = ask(self.own, "CreateImage", wanted).ImageId
        passed("an image", ready(self.own, self.golden), "CREATING", "NORMAL")
        found = image(self.own, self.golden)
        complete("a custom image", found, MAY_LACK_IMAGE)
        told = (
            found.ImageName,
            found.ImageDescription,
            found.ImageFamily,
            found.ImageType,
            found.ImageSource,
            found.ImageCreator,
        )
        same("what is told of it", told, ("golden-1", "web server", "golden", "PRIVATE_IMAGE", "CREATE_IMAGE", uin(1)))
        same("its size", found.ImageSize, 50)
        same("its snapshots", [(one.DiskUsage, one.DiskSize) for one in found.SnapshotSet], [("SYSTEM_DISK", 50)])
        same("its tags", tags(found), {"app": "web"})
        same(
            "the newest of its family",
            ask(self.own, "DescribeImageFromFamily", {"ImageFamily": "golden"}).Image.ImageId,
            self.golden,
        )
        same(
            "who was not switched off", [one.InstanceState for one in settled(self.own, self.ids)[-1]], ["RUNNING"] * 3
        )
        again = refused("an image of the same name", "InvalidImageName.Duplicate", self.own, "CreateImage", wanted)
        holds("a refusal has words", bool(again))

    def custom(self, account: int = 1, region: str = GZ, kind: str = "PRIVATE_IMAGE") -> list[str]:
        filters = [{"Name": "image-type", "Values": [kind]}]
        return [
            one.ImageId for one in ask(self.cloud.cvm(account, region), "DescribeImages", {"Filters": filters}).ImageSet
        ]

    def copy(self) -> None:
        step("copies in two regions")
        wanted = {"ImageIds": [self.golden], "DestinationRegions": [SH, BJ], "ImageSetRequired": True}
        ask(self.own, "SyncImages", {**wanted, "DryRun": True})
        same("copies after a dry run", self.custom(region=SH), [])
        listed = ask(self.own, "SyncImages", wanted).ImageSet
        self.copies = {one.Region: one.ImageId for one in listed}
        same_set("where the copies are", self.copies, [BJ, SH])
        same("how many ids there are", len({self.golden, *self.copies.values()}), 3)
        passed("the source of copies", ready(self.own, self.golden), "SYNCING", "NORMAL")
        for region, copy in self.copies.items():
            there = self.cloud.cvm(region=region)
            ready(there, copy)
            found = image(there, copy)
            same("the name of a copy", (found.ImageName, found.ImageType), ("golden-1", "PRIVATE_IMAGE"))
            holds("a copy has a snapshot of its own", len(found.SnapshotSet) == 1)
        refused(
            "a launch from the copy of another region",
            "InvalidImageId.NotFound",
            self.own,
            "RunInstances",
            launch(self.copies[SH]),
        )

    def share(self) -> None:
        step("shared with a second account")
        same(
            "who has it at first",
            ask(self.own, "DescribeImageSharePermission", {"ImageId": self.golden}).SharePermissionSet,
            [],
        )
        self.permit("SHARE")
        listed = ask(self.own, "DescribeImageSharePermission", {"ImageId": self.golden}).SharePermissionSet
        same("who has it", [one.AccountId for one in listed], [uin(2)])
        refusal("sharing it again", "FailedOperation.AccountAlreadyExists", lambda: self.permit("SHARE"))
        refused(
            "deleting it meanwhile",
            "InvalidImageId.InShared",
            self.own,
            "DeleteImages",
            {"ImageIds": [self.golden]},
        )

    def permit(self, permission: str, client: Any = None, account: int = 2) -> Any:
        params = {"ImageId": self.golden, "AccountIds": [uin(account)], "Permission": permission}
        return ask(client or self.own, "ModifyImageSharePermission", params)

    def receive(self) -> None:
        step("there: seen, launched from, copied; not renamed, shared on, copied elsewhere or deleted")
        holds("it is among the shared images", self.golden in self.custom(2, kind="SHARED_IMAGE"))
        found = image(self.partner, self.golden)
        told = (found.ImageType, found.ImageName, found.ImageCreator, found.Tags)
        same("what is told of it", told, ("SHARED_IMAGE", "golden-1", uin(1), []))
        holds("it is not seen in another region", image(self.cloud.cvm(2, SH), self.copies[SH]) is None)
        self.launched = made(self.partner, launch(self.golden, account=2))
        rename = {"ImageId": self.golden, "ImageName": "mine"}
        refused(
            "renaming it",
            "UnsupportedOperation.SharedImageModifyUnsupported",
            self.partner,
            "ModifyImageAttribute",
            rename,
        )
        code = "UnauthorizedOperation.ImageNotBelongToAccount"
        refusal("sharing it on", code, lambda: self.permit("SHARE", self.partner, 3))
        asked = {"ImageId": self.golden}
        refused("asking who has it", code, self.partner, "DescribeImageSharePermission", asked)
        # Either reads well: a received image does not allow it, and that region is none for it.
        codes = ("InvalidParameterValue.InvalidImageId", "InvalidParameterValue.InvalidRegion")
        params = {"ImageIds": [self.golden], "DestinationRegions": [SH]}
        refused("copying it to another region", codes, self.partner, "SyncImages", params)
        kept = {"ImageIds": [self.golden], "DestinationRegions": [GZ], "ImageName": "kept", "ImageSetRequired": True}
        copy = ask(self.partner, "SyncImages", kept).ImageSet[0].ImageId
        ready(self.partner, copy)
        same("what a copy in its region is", image(self.partner, copy).ImageType, "PRIVATE_IMAGE")
        ask(self.partner, "DeleteImages", {"ImageIds": [copy], "DeleteBindedSnap": True})
        refused(
            "deleting it",
            "InvalidParameterValue.InvalidImageIdIsShared",
            self.partner,
            "DeleteImages",
            {"ImageIds": [self.golden]},
        )

    def take_back(self) -> None:
        step("the share cancelled: no longer seen there, nor launched from; what runs goes on")
        self.permit("CANCEL")
        same(
            "who has it", ask(self.own, "DescribeImageSharePermission", {"ImageId": self.golden}).SharePermissionSet, []
        )
        holds("the other account does not see it", image(self.partner, self.golden) is None)
        holds("it is in no list there", self.golden not in self.custom(2, kind="SHARED_IMAGE"))
        refused(
            "a launch from it there",
            "InvalidImageId.NotFound",
            self.partner,
            "RunInstances",
            launch(self.golden, account=2),
        )
        reset = {"InstanceId": self.launched[0], "ImageId": self.golden}
        refused("a reset to it there", "InvalidImageId.NotFound", self.partner, "ResetInstance", reset)
        same("what was launched from it", instances(self.partner, self.launched)[0].InstanceState, "RUNNING")
        ask(self.partner, "TerminateInstances", {"InstanceIds": self.launched})
        gone(self.partner, self.launched)
        rename = {"ImageId": self.golden, "ImageName": "golden-2", "ImageDescription": ""}
        ask(self.own, "ModifyImageAttribute", rename)
        found = image(self.own, self.golden)
        same("its owner renames it", (found.ImageName, found.ImageDescription), ("golden-2", ""))

    def reset(self) -> None:
        step("the second reset to the image")
        before = instances(self.own, self.ids[1:2])[0]
        params = {"InstanceId": self.ids[1], "ImageId": self.golden, "LoginSettings": {"KeyIds": ["skey-8a7c6b51"]}}
        price = ask(self.own, "InquiryPriceResetInstance", params).Price.InstancePrice
        holds("what it will cost is told", price.UnitPrice > 0, price.UnitPrice)
        ask(self.own, "ResetInstance", params)
        after = settled(self.own, self.ids[1:2], "RUNNING")[-1][0]
        same("its last operation", (after.LatestOperation, after.LatestOperationState), ("ResetInstance", "SUCCESS"))
        same("its image", (before.ImageId, after.ImageId), (self.ubuntu, self.golden))
        same("what stays", after.PrivateIpAddresses, before.PrivateIpAddresses)

    def passes(self, ids: list[str], on_the_way: str, end: str) -> None:
        seen = settled(self.own, ids, end)
        passed("an instance", [one.InstanceState for look in seen for one in look], on_the_way, end)

    def power(self) -> None:
        step("the third stopped, made another type, started, rebooted, renamed, protected")
        one = self.ids[2:]
        resize = {"InstanceIds": one, "InstanceType": "S5.LARGE8"}
        refused(
            "another type while it runs",
            "UnsupportedOperation.InstanceStateRunning",
            self.own,
            "ResetInstancesType",
            resize,
        )
        ask(self.own, "StopInstances", {"InstanceIds": one, "StopType": "SOFT_FIRST"})
        self.passes(one, "STOPPING", "STOPPED")
        ask(self.own, "ResetInstancesType", resize)
        found = settled(self.own, one, "STOPPED")[-1][0]
        same("what it is now", (found.InstanceType, found.CPU, found.Memory), ("S5.LARGE8", 4, 8))
        ask(self.own, "StartInstances", {"InstanceIds": one})
        self.passes(one, "STARTING", "RUNNING")
        ask(self.own, "RebootInstances", {"InstanceIds": one, "StopType": "SOFT"})
        self.passes(one, "REBOOTING", "RUNNING")
        for attribute, value, told in [
            ("InstanceName", "db", "InstanceName"),
            ("SecurityGroups", ["sg-8a7c6b51"], "SecurityGroupIds"),
            ("DisableApiTermination", True, "DisableApiTermination"),
        ]:
            ask(self.own, "ModifyInstancesAttribute", {"InstanceIds": one, attribute: value})
            same(f"its {told}", getattr(settled(self.own, one)[-1][0], told), value)
        refused(
            "its end while it is protected",
            "UnsupportedOperation.InstancesProtected",
            self.own,
            "TerminateInstances",
            {"InstanceIds": self.ids},
        )
        same("who is still there", len(instances(self.own, self.ids)), 3)
        ask(self.own, "ModifyInstancesAttribute", {"InstanceIds": one, "DisableApiTermination": False})
        settled(self.own, one, "RUNNING")

    def tag(self) -> None:
        step("tags, by the client of the tag service")
        client = self.cloud.tag()
        described = [
            f"qcs::cvm:{GZ}:uin/{uin(1)}:{kind}/{one}"
            for kind, one in [("instance", self.ids[0]), ("image", self.golden)]
        ]
        two = [{"TagKey": "stage", "TagValue": "test"}, {"TagKey": "app", "TagValue": "shop"}]
        same("who failed", ask(client, "TagResources", {"ResourceList": described, "Tags": two}).FailedResources, [])
        same("tags of the instance", tags(instances(self.own, self.ids[:1])[0]), {"app": "shop", "stage": "test"})
        same("tags of the image", tags(image(self.own, self.golden)), {"app": "shop", "stage": "test"})
        unknown = f"qcs::cvm:{GZ}:uin/{uin(1)}:instance/ins-00000000"
        failed = ask(client, "TagResources", {"ResourceList": [unknown], "Tags": two}).FailedResources
        same("whoever is not there is told", [one.Resource for one in failed], [unknown])
        filters = [{"Name": "tag:app", "Values": ["shop"]}]
        same("who is found by it", ask(self.own, "DescribeInstances", {"Filters": filters}).TotalCount, 1)
        ask(client, "UnTagResources", {"ResourceList": described, "TagKeys": ["stage"]})
        same("tags without one", tags(instances(self.own, self.ids[:1])[0]), {"app": "shop"})
        change = {"ReplaceTags": [{"TagKey": "owner", "TagValue": "me"}], "DeleteTags": [{"TagKey": "app"}]}
        ask(client, "ModifyResourceTags", {"Resource": described[0], **change})
        asked = {"ServiceType": "cvm", "ResourcePrefix": "instance", "ResourceIds": self.ids[:1], "ResourceRegion": GZ}
        listed = ask(client, "DescribeResourceTagsByResourceIds", asked).Tags
        same("tags after both at once", [(one.TagKey, one.TagValue) for one in listed], [("owner", "me")])

    def neighbours(self) -> None:
        step("disks, snapshots and addresses, by the client for any service")
        found = instances(self.own, self.ids)
        disks = plain(self.cloud.service("cbs"), "DescribeDisks", {"DiskIds": [one.SystemDisk.DiskId for one in found]})
        told = {
            one["DiskId"]: (one["InstanceId"], one["DiskSize"], one["DiskUsage"], one["DiskState"])
            for one in disks["DiskSet"]
        }
        expected = {one.SystemDisk.DiskId: (one.InstanceId, 50, "SYSTEM_DISK", "ATTACHED") for one in found}
        same("the disks", told, expected)
        snapshot = image(self.own, self.golden).SnapshotSet[0].SnapshotId
        same("the state of the image's snapshot", self.snapshots(snapshot), ["NORMAL"])
        network = found[0].VirtualPrivateCloud
        asked = {"VpcId": network.VpcId, "SubnetId": network.SubnetId, "IpAddresses": found[0].PrivateIpAddresses}
        used = plain(self.cloud.service("vpc"), "DescribeUsedIpAddress", asked)
        same("whose address it is", [one["ResourceId"] for one in used["IpAddressStates"]], self.ids[:1])

    def snapshots(self, snapshot: str, region: str = GZ) -> list[str]:
        found = plain(self.cloud.service("cbs", region=region), "DescribeSnapshots", {"SnapshotIds": [snapshot]})
        return [one["SnapshotState"] for one in found["SnapshotSet"]]

    def imports(self) -> None:
        step("an image from a file")
        systems = ask(self.own, "DescribeImportImageOs")
        holds("CentOS can be imported", "CentOS" in systems.ImportImageOsListSupported.Linux)
        versions = next(one for one in systems.ImportImageOsVersionSet if one.OsName == "CentOS")
        wanted = {
            "Architecture": versions.Architecture[0],
            "OsType": "CentOS",
            "OsVersion": versions.OsVersions[-1],
            "ImageUrl": f"https://bucket-1250000000.cos.{GZ}.myqcloud.com/disk.qcow2",
            "ImageName": "imported",
        }
        ask(self.own, "ImportImage", {**wanted, "DryRun": True})
        same("custom images after a dry run", self.custom(), [self.golden])
        answer = ask(self.own, "ImportImage", wanted)
        named = {"Filters": [{"Name": "image-name", "Values": ["imported"]}]}
        self.imported = answer.ImageId or ask(self.own, "DescribeImages", named).ImageSet[0].ImageId
        passed("an import", ready(self.own, self.imported), "IMPORTING", "NORMAL")
        found = image(self.own, self.imported)
        same("what is told of it", (found.ImageSource, found.Platform), ("EXTERNAL_IMPORT", "CentOS"))

    def quotas(self) -> None:
        step("quotas, and how much of them is used")
        most = ask(self.own, "DescribeImageQuota").ImageNumQuota
        kinds = [
            {"Name": "quota-type", "Values": ["ImageQuotaSet", "PostPaidQuotaSet"]},
            {"Name": "zone", "Values": [ZONE]},
        ]
        found = ask(self.own, "DescribeAccountQuota", {"Filters": kinds}).AccountQuotaOverview
        images, zone = found.AccountQuota.ImageQuotaSet[0], found.AccountQuota.PostPaidQuotaSet[0]
        same("images", (found.Region, images.UsedQuota, images.TotalQuota), (GZ, 2, most))
        same("instances", (zone.Zone, zone.UsedQuota, zone.RemainingQuota), (ZONE, 3, zone.TotalQuota - 3))

    def end(self) -> None:
        step("the end: instances terminated, images deleted, with their snapshots and without")
        ask(self.own, "TerminateInstances", {"InstanceIds": self.ids})
        gone(self.own, self.ids)
        kept, dropped = (image(self.own, one).SnapshotSet[0].SnapshotId for one in (self.imported, self.golden))
        ask(self.own, "DeleteImages", {"ImageIds": [self.golden], "DryRun": True})
        holds("it is there after a dry run", image(self.own, self.golden) is not None)
        ask(self.own, "DeleteImages", {"ImageIds": [self.golden], "DeleteBindedSnap": True})
        ask(self.own, "DeleteImages", {"ImageIds": [self.imported]})
        until("the images are gone", self.custom, lambda left: not left)
        same("the snapshots", (self.snapshots(kept), self.snapshots(dropped)), (["NORMAL"], []))
        refused("a launch from it", "InvalidImageId.NotFound", self.own, "RunInstances", launch(self.golden))
        for region, copy in self.copies.items():
            there = self.cloud.cvm(region=region)
            holds("a copy outlives its source", image(there, copy) is not None)
            ask(there, "DeleteImages", {"ImageIds": [copy], "DeleteBindedSnap": True})
            until("the copy is gone", lambda: image(there, copy), lambda left: left is None)
        same("instances at the end", [ask(self.cloud.cvm(n), "DescribeInstances").TotalCount for n in (1, 2)], [0, 0])
