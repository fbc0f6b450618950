"""The official SDK, led to the server: clients of accounts, requests by its own classes, and answers read strictly."""

from __future__ import annotations

import importlib
import json
import warnings
from typing import Any

from tencentcloud.common.abstract_client import AbstractClient
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cvm.v20170312.cvm_client import CvmClient
from tencentcloud.tag.v20180813.tag_client import TagClient

from checks import Codes, holds, refusal, until
from server import Server, keys

GZ, SH, BJ = "ap-guangzhou", "ap-shanghai", "ap-beijing"
ZONE = "ap-guangzhou-3"
UBUNTU = "Ubuntu Server 22.04 LTS 64bit"

# Where a request or an answer has a field that the SDK's classes do not know, the SDK warns and goes on. Here that is a
# failure: such a field would be none of CVM's.
warnings.filterwarnings("error", message=".* fileds are useless.*", category=UserWarning)


class Cloud:
    """Clients of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.known: dict[int, tuple[str, str]] = {}

    def keys(self, account: int) -> tuple[str, str]:
        if account not in self.known:
            self.known[account] = keys(self.server.binary, account)
        return self.known[account]

    def credential(self, account: int, token: str | None = None) -> Credential:
        return Credential(*self.keys(account), token)

    def profile(self, method: str = "POST", **more: Any) -> ClientProfile:
        http = HttpProfile(protocol="http", endpoint=self.server.address, reqMethod=method, keepAlive=True)
        return ClientProfile(httpProfile=http, **more)

    def cvm(self, account: int = 1, region: str = GZ, **profile: Any) -> CvmClient:
        return CvmClient(self.credential(account), region, self.profile(**profile))

    def tag(self, account: int = 1) -> TagClient:
        return TagClient(self.credential(account), GZ, self.profile())

    def service(self, name: str, version: str = "2017-03-12", account: int = 1, region: str = GZ) -> CommonClient:
        return CommonClient(name, version, self.credential(account), region, self.profile())


def ask(client: AbstractClient, action: str, params: dict[str, Any] | None = None) -> Any:
    """An action by the SDK's class for its request, answered by an object of the SDK's class for its answer."""
    models = importlib.import_module(type(client).__module__.rsplit(".", 1)[0] + ".models")
    request = getattr(models, f"{action}Request")()
    request.from_json_string(json.dumps(params or {}))
    answer = getattr(client, action)(request)
    holds(f"the answer to {action} bears the id of its request", bool(answer.RequestId))
    return answer


def refused(what: str, codes: Codes, client: AbstractClient, action: str, params: dict[str, Any] | None = None) -> str:
    """Asks for what has to be refused, and returns the words of the refusal."""
    return refusal(what, codes, lambda: ask(client, action, params)).get_message()


def plain(client: AbstractClient, action: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """An action without classes, for services that have none here, and for requests that they would not let through."""
    return client.call_json(action, params or {})["Response"]


def instances(client: CvmClient, ids: list[str]) -> list[Any]:
    """These instances, in this order; who is gone is missing."""
    found = {
        one.InstanceId: one for one in ask(client, "DescribeInstances", {"InstanceIds": ids, "Limit": 100}).InstanceSet
    }
    return [found[one] for one in ids if one in found]


def image(client: CvmClient, image_id: str) -> Any:
    """This image; `None`: it is not seen."""
    found = ask(client, "DescribeImages", {"ImageIds": [image_id]}).ImageSet
    return found[0] if found else None


def settled(client: CvmClient, ids: list[str], state: str | None = None) -> list[list[Any]]:
    """Waits until nothing is under way on instances, and all are in the state."""

    def done(found: list[Any]) -> bool:
        return len(found) == len(ids) and all(
            one.LatestOperationState != "OPERATING" and (state is None or one.InstanceState == state) for one in found
        )

    seen = until(f"{', '.join(ids)} are {state or 'at rest'}", lambda: instances(client, ids), done)
    for one in seen[-1]:
        holds(
            f"the last operation of {one.InstanceId} succeeded",
            one.LatestOperationState == "SUCCESS",
            one.LatestOperationState,
        )
    return seen


def gone(client: CvmClient, ids: list[str]) -> None:
    until(f"{', '.join(ids)} are gone", lambda: instances(client, ids), lambda found: not found)


def ready(client: CvmClient, image_id: str) -> list[str]:
    """Waits until an image is NORMAL, and returns the states on the way."""

    def state() -> str:
        return getattr(image(client, image_id), "ImageState", "")

    return until(f"{image_id} is NORMAL", state, lambda found: found == "NORMAL")


def public_image(client: CvmClient, name: str = UBUNTU) -> str:
    filters = [{"Name": "image-type", "Values": ["PUBLIC_IMAGE"]}, {"Name": "image-name", "Values": [name]}]
    found = ask(client, "DescribeImages", {"Filters": filters, "Limit": 100}).ImageSet
    return next(one.ImageId for one in found if one.ImageName == name)


def launch(image_id: str, count: int = 1, account: int = 1, **more: Any) -> dict[str, Any]:
    """The parameters of a small launch. A key pair belongs to whoever names it first."""
    return {
        "Placement": {"Zone": ZONE},
        "ImageId": image_id,
        "InstanceType": "S5.MEDIUM4",
        "InstanceCount": count,
        "LoginSettings": {"KeyIds": [f"skey-8a7c6b5{account}"]},
        **more,
    }


def made(client: CvmClient, params: dict[str, Any]) -> list[str]:
    """Launches, and waits until all of it runs."""
    ids = ask(client, "RunInstances", params).InstanceIdSet
    settled(client, ids, "RUNNING")
    return ids
