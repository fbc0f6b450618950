"""The documented rules of instances that are there, of tags, and of requests whatever they are for."""

from __future__ import annotations

from typing import Any, Iterator

from checks import Codes
from clients import GZ, ZONE, launch
from rules import BAD_LIMIT, MALFORMED, TOO_MANY, Rule, a_filter, ids, many
from server import uin
from world import World, encoded


def instance_reads(w: World) -> Iterator[Rule]:
    act = "DescribeInstances"
    yield Rule("a malformed instance id", act, ids("web-1"), MALFORMED)
    yield Rule("101 instance ids", act, ids(*many("ins-", 101)), TOO_MANY)
    yield Rule(
        "instances by ids and by filters",
        act,
        {**ids(w.running), **a_filter("zone", ZONE)},
        ("InvalidParameter", "InvalidParameterValue"),
    )
    yield Rule("a filter that there is not", act, a_filter("colour", "red"), "InvalidFilter")
    yield Rule("six values of a filter", act, a_filter("instance-name", *"abcdef"), "InvalidFilterValue.LimitExceeded")
    yield Rule("a zone of another region", act, a_filter("zone", "ap-shanghai-2"), "InvalidZone.MismatchRegion")
    yield Rule(
        "a tag key that nothing has", act, a_filter("tag-key", "nothing-has-it"), "InvalidParameterValue.TagKeyNotFound"
    )
    yield Rule(
        "a time that is none",
        act,
        a_filter("creation-start-time", "yesterday"),
        "InvalidParameterValue.InvalidTimeFormat",
    )
    malformed: list[tuple[str, Codes]] = [
        ("vpc-id", "InvalidParameterValue.VpcIdMalformed"),
        ("subnet-id", "InvalidParameterValue.SubnetIdMalformed"),
        ("security-group-id", "InvalidSgId.Malformed"),
        ("host-id", "InvalidHostId.Malformed"),
        ("uuid", "InvalidParameterValue.UuidMalformed"),
        ("private-ip-address", ("InvalidParameterValue.IPAddressMalformed", "InvalidParameterValue.InvalidIpFormat")),
        ("public-ip-address", ("InvalidParameterValue.IPAddressMalformed", "InvalidParameterValue.InvalidIpFormat")),
        ("ipv6-address", "InvalidParameterValue.IPv6AddressMalformed"),
        ("creation-end-time", "InvalidParameterValue.InvalidTimeFormat"),
        ("tag-key", "FailedOperation.IllegalTagKey"),
        ("tag:a?b", "FailedOperation.IllegalTagKey"),
    ]
    for name, code in malformed:
        yield Rule(f"a malformed value of the filter {name}", act, a_filter(name, "what?"), code)
    yield Rule("a malformed id in a filter", act, a_filter("instance-id", "web-1"), MALFORMED)
    yield Rule("pages of 101", act, {"Limit": 101}, BAD_LIMIT)
    act = "DescribeInstancesStatus"
    yield Rule("the state of a malformed id", act, ids("web-1"), MALFORMED)
    yield Rule("the states of 101 instances", act, ids(*many("ins-", 101)), TOO_MANY)
    act = "DescribeInstanceTypeConfigs"
    yield Rule("a filter that there is not", act, a_filter("colour", "red"), "InvalidFilter")
    yield Rule(
        "two values of a filter that takes one",
        act,
        a_filter("zone", ZONE, "ap-guangzhou-4"),
        "InvalidFilterValue.LimitExceeded",
    )
    yield Rule("a zone of another region", act, a_filter("zone", "ap-shanghai-2"), "InvalidZone.MismatchRegion")
    yield Rule(
        "a filter of quotas that there is not", "DescribeAccountQuota", a_filter("colour", "red"), "InvalidFilter"
    )


def instance_changes(w: World) -> Iterator[Rule]:
    for act in ("TerminateInstances", "StartInstances", "StopInstances", "RebootInstances"):
        yield Rule("an instance that there is not", act, ids("ins-00000000"), "InvalidInstanceId.NotFound")
        yield Rule(
            "one that is there with one that is not", act, ids(w.small, "ins-00000000"), "InvalidInstanceId.NotFound"
        )
        yield Rule("another's instance", act, ids(w.theirs), "InvalidInstanceId.NotFound")
        yield Rule("a malformed id", act, ids("web-1"), MALFORMED)
        yield Rule("101 instances", act, ids(*many("ins-", 101)), TOO_MANY)
        yield Rule("no instances", act, {}, "MissingParameter")
        if act != "TerminateInstances":
            yield Rule(
                "what lies in the recycle bin", act, ids(w.returned), "UnsupportedOperation.InstanceStateShutdown"
            )
    yield Rule(
        "an end in spite of the protection",
        "TerminateInstances",
        ids(w.protected),
        "UnsupportedOperation.InstancesProtected",
    )
    yield Rule(
        "an end of two with one protected",
        "TerminateInstances",
        ids(w.small, w.protected),
        "UnsupportedOperation.InstancesProtected",
    )
    yield Rule(
        "an end of two ways to pay",
        "TerminateInstances",
        ids(w.small, w.prepaid),
        "UnsupportedOperation.InstanceMixedPricingModel",
    )
    yield Rule("starting what runs", "StartInstances", ids(w.running), "UnsupportedOperation.InstanceStateRunning")
    yield Rule("stopping what is stopped", "StopInstances", ids(w.stopped), "UnsupportedOperation.InstanceStateStopped")
    yield Rule(
        "rebooting what is stopped", "RebootInstances", ids(w.stopped), "UnsupportedOperation.InstanceStateStopped"
    )
    yield Rule(
        "stopping one that runs and one that does not",
        "StopInstances",
        ids(w.small, w.stopped),
        "UnsupportedOperation.InstanceStateStopped",
    )
    yield Rule(
        "stopping in two ways",
        "StopInstances",
        {**ids(w.small), "ForceStop": True, "StopType": "SOFT"},
        "InvalidParameterCombination",
    )
    yield Rule(
        "stopping in a way that there is not",
        "StopInstances",
        {**ids(w.small), "StopType": "WILD"},
        "InvalidParameterValue",
    )
    yield Rule(
        "rebooting in two ways",
        "RebootInstances",
        {**ids(w.small), "ForceReboot": True, "StopType": "SOFT"},
        "InvalidParameterCombination",
    )
    act = "ModifyInstancesAttribute"
    yield Rule(
        "renaming an instance that there is not",
        act,
        {**ids("ins-00000000"), "InstanceName": "x"},
        "InvalidInstanceId.NotFound",
    )
    yield Rule("renaming a malformed id", act, {**ids("web-1"), "InstanceName": "x"}, MALFORMED)
    yield Rule(
        "renaming what lies in the recycle bin",
        act,
        {**ids(w.returned), "InstanceName": "x"},
        "UnsupportedOperation.InstanceStateShutdown",
    )
    yield Rule("renaming 101 instances", act, {**ids(*many("ins-", 101)), "InstanceName": "x"}, TOO_MANY)
    yield Rule(
        "a name of 129 characters", act, {**ids(w.small), "InstanceName": "n" * 129}, "InvalidInstanceName.TooLong"
    )
    two = {"InstanceName": "x", "DisableApiTermination": True}
    yield Rule(
        "changing two things",
        act,
        {**ids(w.small), **two},
        ("InvalidParameter", "InvalidParameterCombination", "InvalidParameterValue"),
    )
    yield Rule(
        "jumbo frames of a type without",
        act,
        {**ids(w.small), "EnableJumboFrame": True},
        "UnsupportedOperation.InstanceTypeNotSupportJumboFrame",
    )
    yield Rule("changing nothing", act, ids(w.small), "MissingParameter")
    yield Rule(
        "another's security group",
        act,
        {**ids(w.small), "SecurityGroups": ["sg-00000002"]},
        "InvalidSecurityGroupId.NotFound",
    )
    yield Rule(
        "six security groups",
        act,
        {**ids(w.small), "SecurityGroups": many("sg-", 16)[10:]},
        "LimitExceeded.AssociateUSGLimitExceeded",
    )
    yield Rule(
        "user data that are not Base64",
        act,
        {**ids(w.small), "UserData": "#!/bin/sh"},
        "InvalidParameterValue.InvalidUserDataFormat",
    )
    yield Rule(
        "a host name that is none",
        act,
        {**ids(w.small), "HostName": "a..b"},
        ("InvalidParameterValue.IllegalHostName", "InvalidParameter.HostNameIllegal"),
    )
    yield Rule(
        "a role with a bad name",
        act,
        {**ids(w.small), "CamRoleName": "a b"},
        "InvalidParameterValue.CamRoleNameMalformed",
    )
    act = "ResetInstancesType"
    larger = {"InstanceType": "S5.LARGE8"}
    yield Rule(
        "another type while it runs", act, {**ids(w.running), **larger}, "UnsupportedOperation.InstanceStateRunning"
    )
    yield Rule("another type of two", act, {**ids(w.stopped, w.fast), **larger}, TOO_MANY)
    yield Rule(
        "another type of what lies in the recycle bin",
        act,
        {**ids(w.returned), **larger},
        "UnsupportedOperation.InstanceStateShutdown",
    )
    yield Rule(
        "another type of an instance that there is not",
        act,
        {**ids("ins-00000000"), **larger},
        "InvalidInstanceId.NotFound",
    )
    yield Rule("a malformed type", act, {**ids(w.stopped), "InstanceType": "large"}, "InvalidInstanceType.Malformed")
    yield Rule(
        "a type with graphics cards",
        act,
        {**ids(w.stopped), "InstanceType": "GN7.2XLARGE32"},
        "InvalidParameterValue.GPUInstanceFamily",
    )
    yield Rule(
        "a type with ARM",
        act,
        {**ids(w.stopped), "InstanceType": "SR1.MEDIUM4"},
        "UnsupportedOperation.UnsupportedChangeInstanceFamilyToARM",
    )
    yield Rule(
        "a type without ARM",
        act,
        {**ids(w.arm_machine), **larger},
        "UnsupportedOperation.UnsupportedARMChangeInstanceFamily",
    )
    yield Rule(
        "another type with such a system disk", act, {**ids(w.fast), **larger}, "UnsupportedOperation.SystemDiskType"
    )


def resets(w: World) -> Iterator[Rule]:
    act = "ResetInstance"

    def reset(name: str, code: Codes, instance: str = w.small, image_id: str = w.ubuntu, **more: Any) -> Rule:
        return Rule(name, act, {"InstanceId": instance, "ImageId": image_id, **more}, code)

    for act in ("ResetInstance", "InquiryPriceResetInstance"):
        yield reset("of an instance that there is not", "InvalidInstanceId.NotFound", "ins-00000000")
        yield reset("of a malformed id", MALFORMED, "web-1")
        yield reset("to an image that there is not", "InvalidImageId.NotFound", image_id="img-00000000")
        yield reset("to a malformed image", "InvalidImageId.Malformed", image_id="ubuntu")
        yield reset("to what another keeps to itself", "InvalidImageId.NotFound", image_id=w.private)
        yield reset(
            "of a disk that cannot switch systems",
            "InvalidParameterValue.InvalidImageIdForRetsetInstance",
            w.fast,
            w.centos,
        )
    act = "ResetInstance"
    yield reset(
        "to an image for other processors", "InvalidParameterValue.InvalidImageForGivenInstanceType", image_id=w.arm
    )
    yield reset("to another licence", "UnsupportedOperation.InvalidImageLicenseTypeForReset", image_id=w.byol)
    yield reset("to an encrypted image", "UnsupportedOperation.ModifyEncryptionNotSupported", image_id=w.encrypted)
    yield reset(
        "of an encrypted disk to one that is not", "UnsupportedOperation.ModifyEncryptionNotSupported", w.sealed
    )
    yield reset(
        "to an image larger than the disk",
        ("InvalidParameterValue", "InvalidParameterValue.InvalidImageIdForRetsetInstance"),
        image_id=w.free,
    )
    yield reset("with a smaller disk", "InvalidParameterValue", w.running, SystemDisk={"DiskSize": 20})
    yield reset("with another kind of disk", "InvalidParameterValue", SystemDisk={"DiskType": "CLOUD_SSD"})
    yield reset("of what lies in the recycle bin", "UnsupportedOperation.InstanceStateShutdown", w.returned)
    yield reset(
        "to Windows with a key",
        "UnsupportedOperation.KeyPairUnsupportedWindows",
        w.running,
        w.windows,
        LoginSettings={"KeyIds": ["skey-8a7c6b51"]},
    )
    yield reset(
        "with a password that is too simple",
        "InvalidParameterValue.InvalidPassword",
        LoginSettings={"Password": "password"},
    )
    yield reset("with a malformed key", "InvalidKeyPairId.Malformed", LoginSettings={"KeyIds": ["mykey"]})
    yield reset(
        "with another's key",
        ("InvalidParameterValue.KeyPairNotFound", "ResourceNotFound.KeyPairNotFound"),
        LoginSettings={"KeyIds": ["skey-8a7c6b52"]},
    )
    yield reset(
        "with user data that are not Base64", "InvalidParameterValue.InvalidUserDataFormat", UserData="#!/bin/sh"
    )
    yield reset(
        "with user data above 16 KB",
        ("InvalidParameterValue", "InvalidParameterValue.InvalidUserDataFormat"),
        UserData=encoded(b"#" * (16 * 1024 + 1)),
    )
    yield reset(
        "with a host name that is none",
        ("InvalidParameterValue.IllegalHostName", "InvalidParameter.HostNameIllegal"),
        HostName="a..b",
    )


def tag_rules(w: World) -> Iterator[Rule]:
    def resource(one: str, service: str = "cvm") -> str:
        return f"qcs::{service}:{GZ}:uin/{uin(1)}:instance/{one}"

    def tag(key: str = "a", value: str = "x") -> dict[str, str]:
        return {"TagKey": key, "TagValue": value}

    def add(name: str, code: Codes, *tags: dict[str, str], resources: list[str] | None = None) -> Rule:
        params = {"ResourceList": [resource(w.small)] if resources is None else resources, "Tags": list(tags)}
        return Rule(name, "TagResources", params, code, service="tag")

    yield add("a key of the system", "InvalidParameter.ReservedTagKey", tag("tencent-x"))
    yield add("an empty key", "InvalidParameterValue.TagKeyEmpty", tag(""))
    yield add("a key that is too long", "InvalidParameterValue.TagKeyLengthExceeded", tag("k" * 256))
    yield add("a key with a bad character", "InvalidParameterValue.TagKeyCharacterIllegal", tag("a?b"))
    yield add("a key twice", "InvalidParameterValue.TagKeyDuplicate", tag(), tag(value="y"))
    yield add("an empty value", "InvalidParameterValue.TagValueEmpty", tag(value=""))
    yield add("a value that is too long", "InvalidParameterValue.TagValueLengthExceeded", tag(value="v" * 256))
    yield add("a value with a bad character", "InvalidParameterValue.TagValueCharacterIllegal", tag(value="x?"))
    yield add("eleven tags", "LimitExceeded.TagNumPerRequest", *(tag(f"k{n}") for n in range(11)))
    yield add(
        "eleven resources",
        "LimitExceeded.ResourceNumPerRequest",
        tag(),
        resources=[resource(one) for one in many("ins-", 11)],
    )
    yield add("what describes nothing", "InvalidParameterValue.ResourceDescriptionError", tag(), resources=[w.small])
    yield add(
        "a service that takes no tags",
        "InvalidParameter.UnsupportedService",
        tag(),
        resources=[resource(w.small, "moon")],
    )
    yield Rule("no tags", "TagResources", {"ResourceList": [resource(w.small)]}, "MissingParameter", service="tag")
    act = "UnTagResources"
    yield Rule(
        "a key of the system",
        act,
        {"ResourceList": [resource(w.small)], "TagKeys": ["qcloud"]},
        "InvalidParameter.ReservedTagKey",
        service="tag",
    )
    yield Rule(
        "eleven keys",
        act,
        {"ResourceList": [resource(w.small)], "TagKeys": [f"k{n}" for n in range(11)]},
        "LimitExceeded.TagNumPerRequest",
        service="tag",
    )
    yield Rule(
        "an empty key",
        act,
        {"ResourceList": [resource(w.small)], "TagKeys": [""]},
        "InvalidParameterValue.TagKeyEmpty",
        service="tag",
    )
    yield Rule(
        "a key twice",
        act,
        {"ResourceList": [resource(w.small)], "TagKeys": ["a", "a"]},
        "InvalidParameterValue.TagKeyDuplicate",
        service="tag",
    )
    yield Rule(
        "what describes nothing",
        act,
        {"ResourceList": ["x"], "TagKeys": ["a"]},
        "InvalidParameterValue.ResourceDescriptionError",
        service="tag",
    )
    act = "ModifyResourceTags"
    both = {"ReplaceTags": [tag()], "DeleteTags": [{"TagKey": "a"}]}
    yield Rule(
        "replaced and deleted",
        act,
        {"Resource": resource(w.small), **both},
        "InvalidParameterValue.DeleteTagsParamError",
        service="tag",
    )
    yield Rule(
        "nothing to change",
        act,
        {"Resource": resource(w.small)},
        ("MissingParameter", "InvalidParameter.Tag"),
        service="tag",
    )
    yield Rule(
        "a key of the system",
        act,
        {"Resource": resource(w.small), "ReplaceTags": [tag("project")]},
        "InvalidParameter.ReservedTagKey",
        service="tag",
    )
    yield Rule(
        "what describes nothing",
        act,
        {"Resource": "x", "ReplaceTags": [tag()]},
        "InvalidParameterValue.ResourceDescriptionError",
        service="tag",
    )


def requests(w: World) -> Iterator[Rule]:
    """Requests of the wrong form, whatever they are for."""
    yield Rule("a parameter that there is not", "DescribeImages", {"Colour": "red"}, "UnknownParameter", method="plain")
    yield Rule(
        "a part of a parameter that there is not",
        "RunInstances",
        {**launch(w.ubuntu), "Placement": {"Zone": ZONE, "Floor": 1}},
        "UnknownParameter",
        method="plain",
    )
    yield Rule("a text for a number", "DescribeImages", {"Limit": "many"}, "InvalidParameter", method="plain")
    yield Rule("a text for a list", "DescribeImages", {"ImageIds": w.ubuntu}, "InvalidParameter", method="plain")
    yield Rule("a text for a number, by GET", "DescribeImages", {"Limit": "many"}, "InvalidParameter", method="GET")
    yield Rule("an action that there is not", "Dance", {}, "InvalidAction", method="plain")
    yield Rule("an action in small letters", "Describeimages", {}, "InvalidAction", method="plain")
    yield Rule("an action of another service", "DescribeDisks", {}, "InvalidAction", method="plain")
    yield Rule(
        "a version that there is not", "DescribeImages", {}, "NoSuchVersion", version="2016-01-01", method="plain"
    )
    yield Rule(
        "a service that there is not",
        "DescribeImages",
        {},
        "NoSuchProduct",
        service="moon",
        version="2017-03-12",
        method="plain",
    )
    yield Rule("a region that there is not", "DescribeImages", {}, "UnsupportedRegion", region="ap-mars")
    yield Rule("no region", "DescribeImages", {}, "MissingParameter", region="")
    yield Rule(
        "a body above 10 MB",
        "RunInstances",
        {**launch(w.ubuntu), "UserData": "A" * 10_500_000},
        "RequestSizeLimitExceeded",
    )
    yield Rule(
        "a query above 32 KB",
        "DescribeImages",
        a_filter("image-name", "a" * 33_000),
        "RequestSizeLimitExceeded",
        method="GET",
    )
