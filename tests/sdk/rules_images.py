"""The documented rules of images."""

from __future__ import annotations

from typing import Any, Iterator

from clients import GZ, SH
from rules import BAD_LIMIT, NOT_OURS, TOO_LONG, TOO_MANY, Rule, a_filter, many
from server import uin
from world import World, bucket, imported


def image_reads(w: World) -> Iterator[Rule]:
    act = "DescribeImages"
    yield Rule(
        "images by ids and by filters",
        act,
        {"ImageIds": [w.free], **a_filter("platform", "Ubuntu")},
        "InvalidParameter.InvalidParameterCoexistImageIdsFilters",
    )
    yield Rule("a malformed image id", act, {"ImageIds": ["image-1"]}, "InvalidImageId.Malformed")
    yield Rule("more image ids than a request takes", act, {"ImageIds": many("img-", 101)}, TOO_MANY)
    yield Rule("a filter that there is not", act, a_filter("colour", "red"), "InvalidFilter")
    yield Rule("six values of a filter", act, a_filter("platform", *"abcdef"), "InvalidFilterValue.LimitExceeded")
    yield Rule(
        "eleven filters",
        act,
        {"Filters": [{"Name": "platform", "Values": ["x"]}] * 11},
        ("InvalidFilterValue.LimitExceeded", "InvalidFilter", TOO_MANY),
    )
    yield Rule(
        "a tag key that nothing has", act, a_filter("tag-key", "nothing-has-it"), "InvalidParameterValue.TagKeyNotFound"
    )
    yield Rule(
        "a tag that nothing has", act, a_filter("tag:nothing-has-it", "x"), "InvalidParameterValue.TagKeyNotFound"
    )
    yield Rule("a tag key with a bad character", act, a_filter("tag-key", "a?b"), "FailedOperation.IllegalTagKey")
    yield Rule(
        "an offset before the start", act, {"Offset": -1}, ("InvalidParameterValue", "InvalidParameter", *BAD_LIMIT)
    )
    yield Rule("pages of 101", act, {"Limit": 101}, BAD_LIMIT)
    yield Rule("pages of 0", act, {"Limit": 0}, BAD_LIMIT)
    yield Rule("a malformed type", act, {"InstanceType": "large"}, "InvalidInstanceType.Malformed")
    yield Rule(
        "a type that there is not", act, {"InstanceType": "S5.HUGE999"}, "InvalidParameterValue.InstanceTypeNotFound"
    )
    act = "DescribeImageSharePermission"
    yield Rule("who has an image that is another's", act, {"ImageId": w.received}, NOT_OURS)
    yield Rule("who has an image that there is not", act, {"ImageId": "img-00000000"}, "InvalidImageId.NotFound")
    yield Rule("who has an image with a malformed id", act, {"ImageId": "img-1"}, "InvalidImageId.Malformed")
    yield Rule("who has no image", act, {}, "MissingParameter")


def captures(w: World) -> Iterator[Rule]:
    act, ours = "CreateImage", {"ImageName": "new", "InstanceId": w.running}
    yield Rule("an image without a name", act, {"InstanceId": w.running}, "MissingParameter")
    yield Rule("an image of nothing", act, {"ImageName": "new"}, "InvalidParameter.SpecifyOneParameter")
    yield Rule(
        "an image of an instance and of snapshots",
        act,
        {**ours, "SnapshotIds": [w.free_snapshot]},
        "InvalidParameterConflict",
    )
    yield Rule(
        "data disks without their instance",
        act,
        {"ImageName": "new", "SnapshotIds": [w.free_snapshot], "DataDiskIds": [w.data_disk]},
        "InvalidParameter.InvalidDependence",
    )
    yield Rule(
        "a data disk of another instance",
        act,
        {**ours, "DataDiskIds": [w.other_disk]},
        "InvalidParameter.DataDiskNotBelongSpecifiedInstance",
    )
    yield Rule(
        "the system disk among the data disks",
        act,
        {**ours, "DataDiskIds": [w.system_disk]},
        "InvalidParameter.DataDiskIdContainsRootDisk",
    )
    yield Rule(
        "a snapshot that there is not",
        act,
        {"ImageName": "new", "SnapshotIds": ["snap-00000000"]},
        "InvalidParameter.SnapshotNotFound",
    )
    yield Rule(
        "no snapshot of a system disk",
        act,
        {"ImageName": "new", "SnapshotIds": [w.data_snapshot]},
        "InvalidParameter.SystemSnapshotNotFound",
    )
    yield Rule(
        "two snapshots of system disks",
        act,
        {"ImageName": "new", "SnapshotIds": [w.free_snapshot, w.system_snapshot]},
        "InvalidParameter.DuplicateSystemSnapshots",
    )
    yield Rule(
        "an image of an instance that there is not",
        act,
        {**ours, "InstanceId": "ins-00000000"},
        "InvalidInstanceId.NotFound",
    )
    yield Rule("an image of another's instance", act, {**ours, "InstanceId": w.theirs}, "InvalidInstanceId.NotFound")
    yield Rule("a name that another image has", act, {**ours, "ImageName": "free"}, "InvalidImageName.Duplicate")
    yield Rule("a name of 61 characters", act, {**ours, "ImageName": "n" * 61}, TOO_LONG)
    yield Rule("a description of 257 characters", act, {**ours, "ImageDescription": "d" * 257}, TOO_LONG)
    yield Rule(
        "a family with a bad name", act, {**ours, "ImageFamily": "a b?"}, "InvalidParameterValue.InvalidImageFamily"
    )
    yield Rule("a truth value that is none", act, {**ours, "ForcePoweroff": "maybe"}, "InvalidParameterValue")
    yield Rule(
        "an image of an encrypted disk",
        act,
        {**ours, "InstanceId": w.sealed},
        "UnsupportedOperation.EncryptedImagesNotSupported",
    )
    yield Rule(
        "an image of what lies in the recycle bin",
        act,
        {**ours, "InstanceId": w.returned},
        ("InvalidInstance.NotSupported", "OperationDenied.InstanceOperationInProgress"),
    )


def image_changes(w: World) -> Iterator[Rule]:
    act = "ModifyImageAttribute"
    yield Rule(
        "renaming an image that there is not",
        act,
        {"ImageId": "img-00000000", "ImageName": "x"},
        "InvalidImageId.NotFound",
    )
    yield Rule(
        "renaming an image with a malformed id", act, {"ImageId": "x", "ImageName": "x"}, "InvalidImageId.Malformed"
    )
    yield Rule(
        "renaming an image that is another's",
        act,
        {"ImageId": w.received, "ImageName": "x"},
        "UnsupportedOperation.SharedImageModifyUnsupported",
    )
    yield Rule(
        "renaming an image that another keeps to itself",
        act,
        {"ImageId": w.private, "ImageName": "x"},
        "InvalidImageId.NotFound",
    )
    yield Rule(
        "renaming an image as another", act, {"ImageId": w.free, "ImageName": "whole"}, "InvalidImageName.Duplicate"
    )
    yield Rule(
        "a name of 61 characters", act, {"ImageId": w.free, "ImageName": "n" * 61}, "InvalidParameterValue.TooLarge"
    )
    yield Rule(
        "a description of 257 characters",
        act,
        {"ImageId": w.free, "ImageDescription": "d" * 257},
        "InvalidParameterValue.TooLarge",
    )
    yield Rule(
        "a family with a bad name",
        act,
        {"ImageId": w.free, "ImageFamily": "a b?"},
        "InvalidParameterValue.InvalidImageFamily",
    )
    act = "DeleteImages"
    yield Rule("deleting an image that is shared", act, {"ImageIds": [w.shared]}, "InvalidImageId.InShared")
    yield Rule(
        "deleting a free image with one that is shared",
        act,
        {"ImageIds": [w.free, w.shared]},
        "InvalidImageId.InShared",
    )
    yield Rule(
        "deleting an image that is another's",
        act,
        {"ImageIds": [w.received]},
        "InvalidParameterValue.InvalidImageIdIsShared",
    )
    yield Rule("deleting a public image", act, {"ImageIds": [w.ubuntu]}, "InvalidParameterValue.InvalidImageId")
    yield Rule(
        "deleting an image that there is not", act, {"ImageIds": [w.free, "img-00000000"]}, "InvalidImageId.NotFound"
    )
    yield Rule("deleting an image with a malformed id", act, {"ImageIds": ["img-?"]}, "InvalidImageId.Malformed")
    yield Rule("deleting more images than a request takes", act, {"ImageIds": many("img-", 101)}, TOO_MANY)
    yield Rule("deleting nothing", act, {}, "MissingParameter")
    yield Rule(
        "a dry run of deleting what is shared", act, {"ImageIds": [w.shared], "DryRun": True}, "InvalidImageId.InShared"
    )


def shares(w: World) -> Iterator[Rule]:
    act = "ModifyImageSharePermission"

    def share(image_id: str, *accounts: str, permission: str = "SHARE") -> dict[str, Any]:
        return {"ImageId": image_id, "AccountIds": list(accounts), "Permission": permission}

    itself = ("FailedOperation.AccountIsYourSelf", "InvalidAccountIs.YourSelf")
    yield Rule("sharing with oneself", act, share(w.free, uin(1)), itself)
    yield Rule("sharing with a sub-account", act, share(w.free, "200000000001"), "FailedOperation.NotMasterAccount")
    yield Rule("sharing with an account that there is not", act, share(w.free, "42"), "InvalidAccountId.NotFound")
    yield Rule("sharing with whom has it", act, share(w.shared, uin(2)), "FailedOperation.AccountAlreadyExists")
    yield Rule(
        "sharing with whom has it and another",
        act,
        share(w.shared, uin(3), uin(2)),
        "FailedOperation.AccountAlreadyExists",
    )
    yield Rule("sharing with more accounts than may have it", act, share(w.shared, uin(3), uin(4), uin(5)), "OverQuota")
    yield Rule(
        "sharing with more accounts than a request takes",
        act,
        share(w.free, *(uin(n) for n in range(2, 103))),
        (TOO_MANY, "OverQuota"),
    )
    yield Rule("sharing what is another's", act, share(w.received, uin(3)), NOT_OURS)
    yield Rule("sharing a public image", act, share(w.ubuntu, uin(2)), "InvalidParameterValue.InvalidImageId")
    yield Rule(
        "sharing an encrypted image",
        act,
        share(w.encrypted, uin(2)),
        "UnsupportedOperation.EncryptedImagesNotSupported",
    )
    yield Rule(
        "sharing what runs under its owner's licence",
        act,
        share(w.byol, uin(2)),
        "FailedOperation.BYOLImageShareFailed",
    )
    yield Rule("sharing an image that there is not", act, share("img-00000000", uin(2)), "InvalidImageId.NotFound")
    yield Rule("sharing an image with a malformed id", act, share("img", uin(2)), "InvalidImageId.Malformed")
    yield Rule("sharing with nobody", act, {"ImageId": w.free, "Permission": "SHARE"}, "MissingParameter")
    yield Rule("a permission that there is not", act, share(w.free, uin(2), permission="GIVE"), "InvalidParameterValue")


def copies(w: World) -> Iterator[Rule]:
    act = "SyncImages"

    def copy(image_id: str, *regions: str, **more: Any) -> dict[str, Any]:
        return {"ImageIds": [image_id], "DestinationRegions": list(regions), **more}

    no_region = ("InvalidRegion.NotFound", "InvalidParameterValue.InvalidRegion")
    not_for_it = ("InvalidParameterValue.InvalidImageId", "InvalidParameterValue.InvalidRegion")
    yield Rule("copying two images", act, {"ImageIds": [w.free, w.whole], "DestinationRegions": [SH]}, TOO_MANY)
    yield Rule("copying nowhere", act, {"ImageIds": [w.free]}, "MissingParameter")
    yield Rule("copying to a region that there is not", act, copy(w.free, "ap-mars"), no_region)
    yield Rule("copying to where it is", act, copy(w.free, GZ), no_region)
    yield Rule("copying to where it is and elsewhere", act, copy(w.free, GZ, SH), no_region)
    yield Rule(
        "copying to a region of finance",
        act,
        copy(w.free, "ap-shanghai-fsi"),
        ("InvalidRegion.Unavailable", "UnsupportedOperation.Region"),
    )
    yield Rule("copying what is another's to another region", act, copy(w.received, SH), not_for_it)
    yield Rule("copying what another keeps to itself", act, copy(w.private, GZ), "InvalidImageId.NotFound")
    yield Rule(
        "encrypting what is another's",
        act,
        copy(w.received, GZ, Encrypt=True),
        ("UnsupportedOperation.SyncEncryptImageNotSupport", "InvalidParameterValue.InvalidImageId"),
    )
    yield Rule("encrypting into another region", act, copy(w.free, SH, Encrypt=True), no_region)
    yield Rule(
        "copying an encrypted image", act, copy(w.encrypted, SH), "UnsupportedOperation.EncryptedImagesNotSupported"
    )
    yield Rule(
        "a key that is none", act, copy(w.free, GZ, Encrypt=True, KmsKeyId="key"), "InvalidParameter.InvalidKmsKeyId"
    )
    yield Rule("copying a public image", act, copy(w.ubuntu, SH), "InvalidParameterValue.InvalidImageId")
    yield Rule("copying an image that there is not", act, copy("img-00000000", SH), "InvalidImageId.NotFound")
    yield Rule("copying an image with a malformed id", act, copy("free", SH), "InvalidImageId.Malformed")
    yield Rule(
        "a copy of a name that is taken", act, copy(w.received, GZ, ImageName="free"), "InvalidImageName.Duplicate"
    )
    yield Rule("a dry run of copying to where it is", act, copy(w.free, GZ, DryRun=True), no_region)


def imports(_: World) -> Iterator[Rule]:
    act = "ImportImage"
    yield Rule(
        "importing a system that there is not", act, imported("new", OsType="Plan 9"), "InvalidImageOsType.Unsupported"
    )
    yield Rule(
        "importing a version that there is not",
        act,
        imported("new", OsVersion="99"),
        "InvalidImageOsVersion.Unsupported",
    )
    yield Rule("importing for other processors", act, imported("new", Architecture="sparc"), "InvalidParameterValue")
    yield Rule(
        "importing from elsewhere",
        act,
        imported("new", ImageUrl="https://example.com/disk.qcow2"),
        "InvalidParameter.InvalidParameterUrlError",
    )
    yield Rule(
        "importing from a text", act, imported("new", ImageUrl="disk"), "InvalidParameter.InvalidParameterUrlError"
    )
    yield Rule(
        "importing a disc",
        act,
        imported("new", ImageUrl=bucket("disk.iso")),
        "InvalidParameterValue.ISOMustImportByForce",
    )
    yield Rule(
        "a way to boot that there is not",
        act,
        imported("new", BootMode="Floppy"),
        "InvalidParameterValue.InvalidBootMode",
    )
    yield Rule(
        "a licence that there is not",
        act,
        imported("new", LicenseType="GPL"),
        "InvalidParameterValue.InvalidLicenseType",
    )
    yield Rule(
        "a family with a bad name", act, imported("new", ImageFamily="a b?"), "InvalidParameterValue.InvalidImageFamily"
    )
    yield Rule("importing under a name that is taken", act, imported("free"), "InvalidImageName.Duplicate")
    yield Rule("importing under a name of 61 characters", act, imported("n" * 61), "InvalidParameterValue.TooLarge")
    yield Rule(
        "a description of 257 characters",
        act,
        imported("new", ImageDescription="d" * 257),
        "InvalidParameterValue.TooLarge",
    )
    yield Rule("importing nothing", act, {}, "MissingParameter")
