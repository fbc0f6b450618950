"""The documented rules of launches, and of their prices."""

from __future__ import annotations

from typing import Any, Iterator

from checks import Codes
from clients import ZONE, launch
from rules import TOO_MANY, Rule, many
from world import MOST_INSTANCES, World, encoded


def launches(w: World) -> Iterator[Rule]:
    act = "RunInstances"

    def run(name: str, code: Codes, image_id: str = w.ubuntu, **more: Any) -> Rule:
        return Rule(name, act, launch(image_id, **more), code)

    def login(**settings: Any) -> dict[str, Any]:
        return {"LoginSettings": settings}

    yield Rule("a launch nowhere", act, {"ImageId": w.ubuntu}, "MissingParameter")
    yield Rule("a launch of nothing", act, {"Placement": {"Zone": ZONE}}, "MissingParameter")
    yield run("a launch from a malformed id", "InvalidImageId.Malformed", "ubuntu")
    yield run("a launch from an image that there is not", "InvalidImageId.NotFound", "img-00000000")
    yield run("a launch from what another keeps to itself", "InvalidImageId.NotFound", w.private)
    yield run("a launch in a zone of another region", "InvalidZone.MismatchRegion", Placement={"Zone": "ap-shanghai-2"})
    yield run("a launch on a malformed host", "InvalidHostId.Malformed", Placement={"Zone": ZONE, "HostIds": ["mine"]})
    yield run(
        "a resource pack that there is not",
        "InvalidParameterValue.DedicatedResourcePackIdsNotFound",
        Placement={
            "Zone": ZONE,
            "DedicatedResourcePackTenancy": "ResourcePool",
            "DedicatedResourcePackIds": ["rpp-00000000"],
        },
    )
    yield run(
        "a launch where all is sold out",
        "ResourceInsufficient.AvailabilityZoneSoldOut",
        Placement={"Zone": "ap-guangzhou-2"},
    )
    yield run(
        "a launch in a project that there is not", "InvalidProjectId.NotFound", Placement={"Zone": ZONE, "ProjectId": 7}
    )
    yield run(
        "a launch on a host that there is not",
        "InvalidHostId.NotFound",
        Placement={"Zone": ZONE, "HostIds": ["host-00000000"]},
    )
    yield run("a malformed type", "InvalidInstanceType.Malformed", InstanceType="large")
    yield run("a type that there is not", "InvalidParameterValue.InstanceTypeNotFound", InstanceType="S5.HUGE999")
    yield run("an image for other processors", "InvalidParameterValue.InvalidImageForGivenInstanceType", w.arm)
    yield run("no instances", "InvalidParameterValue.Range", InstanceCount=0)
    yield run("501 instances", "InvalidParameterValue.Range", InstanceCount=501)
    yield run("at least two of one", "InvalidParameterValue.InvalidParameterMinCount", MinCount=2)
    quota = ("LimitExceeded.InstanceQuota", "InstancesQuotaLimitExceeded", "LimitExceeded.CvmInstanceQuota")
    yield run("more instances than the zone has room for", quota, InstanceCount=MOST_INSTANCES)
    yield run("a dry run of more than there is room for", quota, InstanceCount=MOST_INSTANCES, DryRun=True)
    yield run("a token of 65 characters", "InvalidClientToken.TooLong", ClientToken="t" * 65)
    yield run("a name of 129 characters", "InvalidInstanceName.TooLong", InstanceName="n" * 129)
    yield run("a host name that is none", "InvalidParameterValue.IllegalHostName", HostName="-web-")
    yield run("a host name of 61 characters", "InvalidParameterValue.IllegalHostName", HostName="h" * 61)
    windows = {"LoginSettings": {"Password": "Correct-Horse-1"}}
    yield run(
        "a host name of 16 characters for Windows",
        "InvalidParameterValue.IllegalHostName",
        w.windows,
        HostName="h" * 16,
        **windows,
    )
    yield run(
        "a host name of digits for Windows",
        "InvalidParameterValue.IllegalHostName",
        w.windows,
        HostName="12345",
        **windows,
    )
    yield run("user data that are not Base64", "InvalidParameterValue.InvalidUserDataFormat", UserData="#!/bin/sh")
    yield run("user data above 16 KB", "InvalidParameterValue.TooLarge", UserData=encoded(b"#" * (16 * 1024 + 1)))
    yield run(
        "a password that is too simple",
        ("InvalidParameterValue.InvalidPassword", "InvalidPassword"),
        **login(Password="password"),
    )
    yield run(
        "a password of eight characters for Windows",
        ("InvalidParameterValue.InvalidPassword", "InvalidPassword"),
        w.windows,
        **login(Password="Abcdef1!"),
    )
    yield run(
        "a password and a key",
        "InvalidParameterCombination",
        **login(Password="Correct-Horse-1", KeyIds=["skey-8a7c6b51"]),
    )
    yield run(
        "a key and the image's login",
        "InvalidParameter.ParameterConflict",
        w.free,
        **login(KeyIds=["skey-8a7c6b51"], KeepImageLogin="TRUE"),
    )
    yield run("the login of a public image", "InvalidParameterValue", **login(KeepImageLogin="TRUE"))
    yield run("a malformed key", "InvalidKeyPairId.Malformed", **login(KeyIds=["mykey"]))
    yield run(
        "another's key",
        ("InvalidParameterValue.KeyPairNotFound", "ResourceNotFound.KeyPairNotFound"),
        **login(KeyIds=["skey-8a7c6b52"]),
    )
    yield run("a key for Windows", "UnsupportedOperation.KeyPairUnsupportedWindows", w.windows)
    yield run("another's security group", "InvalidSecurityGroupId.NotFound", SecurityGroupIds=["sg-00000002"])
    yield run("six security groups", (TOO_MANY, "LimitExceeded.SingleUSGQuota"), SecurityGroupIds=many("sg-", 16)[10:])
    yield run(
        "a malformed VPC",
        "InvalidParameterValue.VpcIdMalformed",
        VirtualPrivateCloud={"VpcId": "net", "SubnetId": w.subnet},
    )
    yield run(
        "a malformed subnet",
        "InvalidParameterValue.SubnetIdMalformed",
        VirtualPrivateCloud={"VpcId": w.vpc, "SubnetId": "net"},
    )
    yield run(
        "a subnet of another VPC",
        "InvalidParameterValue.VpcIdSubnetIdNotMatch",
        VirtualPrivateCloud={"VpcId": "vpc-00000001", "SubnetId": w.subnet},
    )
    yield run(
        "a subnet of another zone",
        "InvalidParameterValue.SubnetIdZoneIdNotMatch",
        Placement={"Zone": "ap-guangzhou-4"},
        VirtualPrivateCloud={"VpcId": w.vpc, "SubnetId": w.subnet},
    )
    network = {"VpcId": w.vpc, "SubnetId": w.subnet}
    yield run(
        "an address that is taken", "VpcIpIsUsed", VirtualPrivateCloud={**network, "PrivateIpAddresses": [w.address]}
    )
    yield run(
        "an address that is none",
        (
            "InvalidParameter.InvalidIpFormat",
            "InvalidParameterValue.InvalidIpFormat",
            "InvalidParameterValue.IPAddressMalformed",
        ),
        VirtualPrivateCloud={**network, "PrivateIpAddresses": ["here"]},
    )
    yield run(
        "one address for two",
        ("InvalidParameterCombination", "InvalidParameterValue", "InvalidParameter"),
        InstanceCount=2,
        VirtualPrivateCloud={**network, "PrivateIpAddresses": ["10.0.0.9"]},
    )
    yield run(
        "a public address without bandwidth",
        ("InvalidParameterCombination", "InvalidParameterValue"),
        InternetAccessible={"InternetMaxBandwidthOut": 0, "PublicIpAssigned": True},
    )
    yield run(
        "an address twice",
        "InvalidParameterValue.Duplicate",
        InstanceCount=2,
        VirtualPrivateCloud={**network, "PrivateIpAddresses": ["10.9.9.9"] * 2},
    )
    yield run(
        "21 addresses",
        (TOO_MANY, "InvalidParameterValue"),
        InstanceCount=21,
        VirtualPrivateCloud={**network, "PrivateIpAddresses": [f"10.9.9.{n}" for n in range(21)]},
    )
    yield run(
        "more bandwidth than there is",
        ("InvalidParameterValue.Range", "InvalidParameterValue"),
        InternetAccessible={"InternetMaxBandwidthOut": 100_000},
    )
    yield run(
        "bandwidth paid in a way that there is not",
        "InvalidParameterValue",
        InternetAccessible={"InternetChargeType": "FREE"},
    )
    yield run(
        "a malformed bandwidth package",
        "InvalidParameterValue.BandwidthPackageIdMalformed",
        InternetAccessible={"BandwidthPackageId": "mine"},
    )
    yield run(
        "a bandwidth package that there is not",
        "InvalidParameterValue.BandwidthPackageIdNotFound",
        InternetAccessible={"BandwidthPackageId": "bwp-00000000"},
    )
    yield run("a disk of a kind that there is not", "InvalidParameterValue", SystemDisk={"DiskType": "FLOPPY"})
    yield run(
        "a system disk smaller than the image",
        ("InvalidParameterValue", "InvalidParameterValue.Range"),
        w.free,
        SystemDisk={"DiskSize": 20},
    )
    yield run(
        "a data disk of SSD below 100 GB",
        "InvalidParameterValue.CloudSsdDataDiskSizeTooSmall",
        DataDisks=[{"DiskType": "CLOUD_SSD", "DiskSize": 50}],
    )
    yield run(
        "a data disk of 15 GB", "InvalidParameterValue", DataDisks=[{"DiskType": "CLOUD_PREMIUM", "DiskSize": 15}]
    )
    yield run("a data disk without a size", "MissingParameter", DataDisks=[{"DiskType": "CLOUD_PREMIUM"}])
    yield run(
        "a disk with a name of 129 characters", "InvalidParameterValue.TooLarge", SystemDisk={"DiskName": "d" * 129}
    )
    yield run(
        "22 data disks",
        (TOO_MANY, "InvalidParameterValue"),
        DataDisks=[{"DiskType": "CLOUD_PREMIUM", "DiskSize": 10}] * 22,
    )
    yield run(
        "a malformed snapshot",
        "InvalidParameterValue.SnapshotIdMalformed",
        DataDisks=[{"DiskSize": 20, "DiskType": "CLOUD_PREMIUM", "SnapshotId": "old"}],
    )
    yield run(
        "a snapshot that there is not",
        "InvalidParameter.SnapshotNotFound",
        DataDisks=[{"DiskSize": 20, "DiskType": "CLOUD_PREMIUM", "SnapshotId": "snap-00000000"}],
    )
    yield run(
        "a disk smaller than its snapshot",
        "FailedOperation.SnapshotSizeLargerThanDataSize",
        DataDisks=[{"DiskSize": 10, "DiskType": "CLOUD_PREMIUM", "SnapshotId": w.data_snapshot}],
    )
    yield run("bought without a period", "MissingParameter", InstanceChargeType="PREPAID")
    yield run(
        "bought for thirteen months",
        "InvalidPeriod",
        InstanceChargeType="PREPAID",
        InstanceChargePrepaid={"Period": 13},
    )
    yield run(
        "bought with a renewal that there is not",
        "InvalidParameterValue",
        InstanceChargeType="PREPAID",
        InstanceChargePrepaid={"Period": 1, "RenewFlag": "MAYBE"},
    )
    yield run(
        "a bid where none is made",
        "InvalidParameterCombination",
        InstanceMarketOptions={"SpotOptions": {"MaxPrice": "1"}},
    )
    yield run("a way to pay that there is not", "InvalidParameterValue", InstanceChargeType="FREE")
    spot = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.000001"}}
    yield run(
        "a bid that is too low",
        "InvalidParameterValue.InsufficientPrice",
        InstanceChargeType="SPOTPAID",
        InstanceMarketOptions=spot,
    )
    yield run(
        "more cores of spot instances than there are",
        ("LimitExceeded.UserSpotQuota", "LimitExceeded.SpotQuota"),
        InstanceChargeType="SPOTPAID",
        InstanceCount=500,
    )
    yield run(
        "more bought than a month allows",
        "LimitExceeded.PrepayQuota",
        InstanceChargeType="PREPAID",
        InstanceChargePrepaid={"Period": 1},
        InstanceCount=500,
    )
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": "qcloud-x", "Value": "x"}]}]
    yield run("a tag key of the system", "FailedOperation.TagKeyReserved", TagSpecification=tagged)
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": "a?b", "Value": "x"}]}]
    yield run("a tag key with a bad character", "FailedOperation.IllegalTagKey", TagSpecification=tagged)
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "x?"}]}]
    yield run("a tag value with a bad character", "FailedOperation.IllegalTagValue", TagSpecification=tagged)
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "x"}, {"Key": "a", "Value": "y"}]}]
    yield run("a tag key twice", "InvalidParameterValue.DuplicateTags", TagSpecification=tagged)
    yield run("a role with a bad name", "InvalidParameterValue.CamRoleNameMalformed", CamRoleName="a b")
    yield run(
        "a placement group that there is not",
        "FailedOperation.DisasterRecoverGroupNotFound",
        DisasterRecoverGroupIds=["none"],
    )
    yield run(
        "two placement groups",
        (TOO_MANY, "InvalidParameterValue"),
        DisasterRecoverGroupIds=["ps-00000001", "ps-00000002"],
    )
    yield run(
        "a malformed launch template",
        "InvalidParameterValue.LaunchTemplateIdMalformed",
        LaunchTemplate={"LaunchTemplateId": "mine"},
    )
    yield run(
        "a launch template that there is not",
        "InvalidParameterValue.LaunchTemplateIdNotExisted",
        LaunchTemplate={"LaunchTemplateId": "lt-00000000"},
    )
    yield run("an HPC cluster that there is not", "ResourceNotFound.HpcCluster", HpcClusterId="hpc-00000000")
    yield run("a CHC server that there is not", "InvalidParameterValue.ChcHostsNotFound", ChcIds=["chc-00000000"])
    yield run("a dedicated cluster", "InvalidParameter.CdcNotSupported", DedicatedClusterId="cluster-00000000")
    timer = {"TimerAction": "TerminateInstances", "ActionTime": "2099-01-01T00:00:00Z"}
    yield run("an end by the clock", "UnsupportedOperation.NotSupportImportInstancesActionTimer", ActionTimer=timer)
    cards = [{"InterfaceType": "PRIMARY", "VpcId": w.vpc, "SubnetId": w.subnet, "PrivateIpv4AddressCount": 1}]
    yield run(
        "network interfaces of a type without",
        "InvalidParameterValue.InstanceTypeNotSupportElasticNetworks",
        NetworkInterfaces=cards,
    )
    yield run(
        "jumbo frames of a type without", "UnsupportedOperation.InstanceTypeNotSupportJumboFrame", EnableJumboFrame=True
    )
    act = "InquiryPriceRunInstances"
    yield run("the price of 101 instances", "InvalidParameterValue.Range", InstanceCount=101)
    yield run("the price of an image that there is not", "InvalidImageId.NotFound", "img-00000000")
    yield run(
        "the price of a type that there is not", "InvalidParameterValue.InstanceTypeNotFound", InstanceType="S5.HUGE999"
    )
    yield run(
        "the price in a zone of another region", "InvalidZone.MismatchRegion", Placement={"Zone": "ap-shanghai-2"}
    )
    yield run("the price by a token of 65 characters", "InvalidClientToken.TooLong", ClientToken="t" * 65)
    yield run(
        "the price of thirteen months",
        "InvalidPeriod",
        InstanceChargeType="PREPAID",
        InstanceChargePrepaid={"Period": 13},
    )
