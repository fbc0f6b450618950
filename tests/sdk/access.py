"""Who is let in, and how requests may be sent: the SDK with good and bad credentials, clocks, methods and signatures."""

from __future__ import annotations

import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Iterator

from tencentcloud.common import abstract_client
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.cvm.v20170312.cvm_client import CvmClient

from checks import holds, refusal, same, same_set, step, until
from clients import GZ, UBUNTU, Cloud, ask, gone, instances, launch, made, public_image, refused, settled


@contextmanager
def clock_off(seconds: float) -> Iterator[None]:
    """The SDK with a clock that is wrong by so much."""
    before = abstract_client.time
    abstract_client.time = SimpleNamespace(time=lambda: time.time() + seconds)
    try:
        yield
    finally:
        abstract_client.time = before


def credentials(cloud: Cloud) -> None:
    step("wrong, unknown, temporary and no credentials")
    secret_id, secret_key = cloud.keys(1)

    def client(*credential: Any) -> CvmClient:
        return CvmClient(Credential(*credential), GZ, cloud.profile())

    holds("permanent keys are let in", ask(client(secret_id, secret_key), "DescribeZones").TotalCount > 0)
    refused("a wrong SecretKey", "AuthFailure.SignatureFailure", client(secret_id, secret_key + "x"), "DescribeZones")
    refused("another's SecretKey", "AuthFailure.SignatureFailure", client(secret_id, cloud.keys(2)[1]), "DescribeZones")
    refused("an unknown SecretId", "AuthFailure.SecretIdNotFound", client(secret_id + "x", secret_key), "DescribeZones")
    refused(
        "a session token that is none of these keys",
        "AuthFailure.TokenFailure",
        client(secret_id, secret_key, "token"),
        "DescribeZones",
    )
    unsigned = CommonClient("cvm", "2017-03-12", None, GZ, cloud.profile())
    skip = {"SkipSign": True}
    # The SDK sends a word in the place of a signature then.
    code = "AuthFailure.InvalidAuthorization"
    refusal("a request that is not signed", code, lambda: unsigned.call_json("DescribeZones", {}, options=skip))
    older = CvmClient(Credential(secret_id, secret_key), GZ, cloud.profile(signMethod="HmacSHA256"))
    refused("a signature of the older kind", code, older, "DescribeZones")


def clocks(cloud: Cloud) -> None:
    step("clocks that are off by more than five minutes, and by less")
    client = cloud.cvm()
    for seconds in (-3600, -310, 310, 3600):
        with clock_off(seconds):
            refused(f"a clock off by {seconds} s", "AuthFailure.SignatureExpire", client, "DescribeZones")
    for seconds in (-290, 290):
        with clock_off(seconds):
            holds(f"a clock off by {seconds} s is let in", ask(client, "DescribeZones").TotalCount > 0)


def methods(cloud: Cloud) -> None:
    step("GET as well as POST, with lists, numbers, truth values and texts of any kind")
    get, post = cloud.cvm(method="GET"), cloud.cvm()
    filters = [{"Name": "image-type", "Values": ["PUBLIC_IMAGE"]}, {"Name": "platform", "Values": ["Ubuntu", "Debian"]}]
    by_get, by_post = (ask(one, "DescribeImages", {"Filters": filters, "Limit": 50}) for one in (get, post))
    same_set("what GET finds", *([one.ImageId for one in found.ImageSet] for found in (by_get, by_post)))
    holds("it finds something", by_get.TotalCount > 1)
    wanted = launch(public_image(get), 2, InstanceName="名字 & more=100%+{R:1}", SystemDisk={"DiskSize": 60})
    tried = ask(get, "RunInstances", {**wanted, "DryRun": True})
    same("what a dry run by GET made", tried.InstanceIdSet or [], [])
    same("instances after a dry run by GET", ask(post, "DescribeInstances").TotalCount, 0)
    ids = made(get, {**wanted, "ClientToken": "by-get"})
    found = instances(post, ids)
    same_set(
        "names that were sent by GET", [one.InstanceName for one in found], [f"名字 & more=100%+{n}" for n in (1, 2)]
    )
    same("the disks that were asked for by GET", {one.SystemDisk.DiskSize for one in found}, {60})
    ask(get, "ModifyInstancesAttribute", {"InstanceIds": ids, "DisableApiTermination": True})
    settled(get, ids)
    refused(
        "their end, by GET",
        "UnsupportedOperation.InstancesProtected",
        get,
        "TerminateInstances",
        {"InstanceIds": ids},
    )
    ask(get, "ModifyInstancesAttribute", {"InstanceIds": ids, "DisableApiTermination": False})
    settled(get, ids)
    ask(get, "TerminateInstances", {"InstanceIds": ids})
    gone(get, ids)
    refused("an unknown image, by GET", "InvalidImageId.NotFound", get, "RunInstances", launch("img-00000000"))


def payloads(cloud: Cloud) -> None:
    step("UNSIGNED-PAYLOAD, another language, and a name of the client")
    for method in ("POST", "GET"):
        profile = cloud.profile(method=method, language="en-US", request_client="life-1.0")
        profile.unsignedPayload = True
        client = CvmClient(cloud.credential(1), GZ, profile)
        filters = [{"Name": "image-name", "Values": [UBUNTU]}]
        holds(
            f"an unsigned payload by {method} is let in",
            ask(client, "DescribeImages", {"Filters": filters}).TotalCount > 0,
        )
        bad = CvmClient(Credential(cloud.keys(1)[0], "wrong"), GZ, profile)
        refused(
            f"an unsigned payload by {method} with a wrong key",
            "AuthFailure.SignatureFailure",
            bad,
            "DescribeZones",
        )


def tokens(cloud: Cloud) -> None:
    step("client tokens: the same makes nothing twice, another does; each account and region has its own")
    client = cloud.cvm()
    ubuntu = public_image(client)
    first = made(client, launch(ubuntu, ClientToken="one"))
    same(
        "what the same token made", ask(client, "RunInstances", launch(ubuntu, ClientToken="one")).InstanceIdSet, first
    )
    second = made(client, launch(ubuntu, ClientToken="two"))
    holds("another token made another", second != first)
    partner = cloud.cvm(account=2)
    theirs = made(partner, launch(ubuntu, account=2, ClientToken="one"))
    holds("the same token of another account made another", theirs != first)
    same("how many there are", ask(client, "DescribeInstances").TotalCount, 2)
    price = launch(ubuntu, ClientToken="one")
    holds("a price is told for a used token", ask(client, "InquiryPriceRunInstances", price).Price is not None)
    for owner, ids in ((client, first + second), (partner, theirs)):
        ask(owner, "TerminateInstances", {"InstanceIds": ids})
        gone(owner, ids)
    until("nothing is left", lambda: ask(client, "DescribeInstances").TotalCount, lambda count: count == 0)


def run(cloud: Cloud) -> None:
    credentials(cloud)
    clocks(cloud)
    methods(cloud)
    payloads(cloud)
    tokens(cloud)
