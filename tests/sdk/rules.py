"""Documented rules as tables: what is asked for, and the code that refuses it. The tables are in `rules_*.py`.

Where the documentation leaves it open which of several codes it is, each of them is right.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.cvm.v20170312 import errorcodes as cvm_codes
from tencentcloud.tag.v20180813 import errorcodes as tag_codes

from checks import Codes, Failure, counts, in_words, is_one_of, say
from clients import GZ, Cloud, ask, plain

TOO_LONG = ("InvalidParameterValue.TooLarge", "InvalidParameter.ValueTooLarge")
TOO_MANY = "InvalidParameterValue.LimitExceeded"
NOT_OURS = "UnauthorizedOperation.ImageNotBelongToAccount"
MALFORMED = ("InvalidInstanceId.Malformed", "InvalidParameterValue.InstanceIdMalformed")
BAD_LIMIT = ("InvalidParameterValue.InvalidParameterValueLimit", TOO_MANY, "InvalidParameterValue")

# What every action may answer; the SDK's lists name what single services do.
COMMON = {
    "ActionOffline", "AuthFailure.InvalidAuthorization", "AuthFailure.InvalidSecretId", "AuthFailure.MFAFailure",
    "AuthFailure.SecretIdNotFound", "AuthFailure.SignatureExpire", "AuthFailure.SignatureFailure", "AuthFailure.TokenFailure",
    "AuthFailure.UnauthorizedOperation", "DryRunOperation", "FailedOperation", "InternalError", "InvalidAction",
    "InvalidParameter", "InvalidParameterValue", "InvalidRequest", "LimitExceeded", "MissingParameter", "NoSuchProduct",
    "NoSuchVersion", "RequestLimitExceeded", "RequestSizeLimitExceeded", "ResourceInUse", "ResourceInsufficient",
    "ResourceNotFound", "ResourceUnavailable", "ServiceUnavailable", "UnauthorizedOperation", "UnknownParameter",
    "UnsupportedOperation", "UnsupportedProtocol", "UnsupportedRegion",
}  # fmt: skip
LISTED = COMMON | {
    value for codes in (cvm_codes, tag_codes) for value in vars(codes).values() if isinstance(value, str)
}


class Rule(NamedTuple):
    """What breaks a rule, and by which code it is refused."""

    name: str
    action: str
    params: dict[str, Any]
    code: Codes
    account: int = 1
    region: str = GZ
    # Which service, and how: by the SDK's classes, or without them where they do not let such a request through.
    service: str = "cvm"
    method: str = "POST"
    version: str = ""


def ids(*one: str) -> dict[str, Any]:
    return {"InstanceIds": list(one)}


def many(start: str, count: int) -> list[str]:
    return [f"{start}{n:08d}" for n in range(count)]


def a_filter(name: str, *values: str) -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Values": list(values)}]}


def answer_to(cloud: Cloud, rule: Rule) -> tuple[str, str]:
    """The code and the words that refuse it; no code: it was accepted."""
    method = "GET" if rule.method == "GET" else "POST"
    try:
        if rule.service == "tag":
            ask(cloud.tag(rule.account), rule.action, rule.params)
        elif rule.method == "POST":
            ask(cloud.cvm(rule.account, rule.region), rule.action, rule.params)
        else:
            version = rule.version or "2017-03-12"
            client = cloud.service(rule.service, version, rule.account, rule.region)
            client.profile.httpProfile.reqMethod = method
            plain(client, rule.action, rule.params)
    except TencentCloudSDKException as error:
        return error.get_code(), error.get_message()
    return "", ""


def broken_rules(cloud: Cloud, rules: list[Rule], codes: set[str]) -> list[str]:
    """Tries all of them, and tells which are not refused as they should be."""
    broken = []
    for rule in rules:
        counts.rules += 1
        code, message = answer_to(cloud, rule)
        codes.add(code)
        where = f"{rule.action}, {rule.name}"
        if not is_one_of(code, rule.code):
            found = f"{code} ({message})" if code else "accepted"
            broken.append(f"{where}: {found}, expected {in_words(rule.code)}")
        elif code not in LISTED:
            broken.append(f"{where}: the SDK lists no code {code}")
    return broken


def judge(broken: list[str]) -> None:
    if broken:
        for line in broken:
            say(f"    {line}")
        raise Failure(f"{len(broken)} rules are not kept")
