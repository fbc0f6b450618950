"""A life by tccli, the official command line client, each command a process of its own as a person at a shell starts it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from checks import Failure, counts, holds, same, same_set, step
from clients import GZ, UBUNTU, ZONE
from server import Server, environment, keys, uin

TCCLI = Path(sys.executable).with_name("tccli")
LONGEST_S = 120
# What it exits with after any fault.
REFUSED = 255


class Shell:
    """tccli of one person: a home with its own configuration and credential files."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server = server
        self.home = home

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        counts.commands += 1
        return subprocess.run(
            [str(TCCLI), *arguments],
            cwd=self.home,
            env=environment(HOME=str(self.home), **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )

    def command(self, service: str, action: str, **params: Any) -> list[str]:
        """Parameters as options: texts as they are, all else as JSON. Names with a dash are options of tccli itself."""
        options = []
        for name, value in params.items():
            options += [f"--{name.replace('_', '-')}", value if isinstance(value, str) else json.dumps(value)]
        return [service, action, "--endpoint", f"http://{self.server.address}", *options]

    def ask(self, service: str, action: str, **params: Any) -> Any:
        done = self.run(*self.command(service, action, **params))
        if done.returncode != 0:
            raise Failure(f"tccli {service} {action} exited with {done.returncode}: {done.stdout}{done.stderr}")
        # A waiter tells on lines of their own what it waits for.
        lines = [line for line in done.stdout.splitlines() if not line.startswith("Inquiry result is ")]
        return json.loads("\n".join(lines))

    def refused(
        self, code: str, service: str, action: str, variables: dict[str, str] | None = None, **params: Any
    ) -> None:
        counts.refusals += 1
        done = self.run(*self.command(service, action, **params), **(variables or {}))
        same(f"the exit code of tccli {service} {action}", done.returncode, REFUSED)
        holds(f"tccli {service} {action} tells {code}", f"code:{code} " in done.stderr, done.stderr or done.stdout)


def waiter(expression: str, to: str | int) -> dict[str, Any]:
    return {"expr": expression, "to": to, "timeout": 60, "interval": 1}


def variables_of(server: Server, account: int, **more: str) -> dict[str, str]:
    """Credentials in the environment, which go before the file."""
    secret_id, secret_key = keys(server.binary, account)
    return {"TENCENTCLOUD_SECRET_ID": secret_id, "TENCENTCLOUD_SECRET_KEY": secret_key, **more}


def run(server: Server) -> None:
    with tempfile.TemporaryDirectory(prefix="fleetwright-tccli-") as home:
        life(server, Shell(server, Path(home)))


def life(server: Server, shell: Shell) -> None:
    step("credentials into its own files")
    secret_id, secret_key = keys(server.binary, 1)
    done = shell.run("configure", "set", "secretId", secret_id, "secretKey", secret_key, "region", GZ, "output", "json")
    same(f"the exit code of tccli configure ({done.stderr})", done.returncode, 0)

    step("images, by a filter and an expression")
    filters = [{"Name": "image-type", "Values": ["PUBLIC_IMAGE"]}, {"Name": "platform", "Values": ["Ubuntu"]}]
    ubuntu = shell.ask(
        "cvm", "DescribeImages", Filters=filters, filter=f"ImageSet[?ImageName=='{UBUNTU}'].ImageId | [0]"
    )
    holds("it is an image", ubuntu.startswith("img-"), ubuntu)

    step("two instances; waited for")
    file = shell.home / "launch.json"
    wanted = {
        "Placement": {"Zone": ZONE},
        "ImageId": ubuntu,
        "InstanceType": "S5.MEDIUM4",
        "InstanceCount": 2,
        "InstanceName": "cli-{R:1}",
        "LoginSettings": {"KeyIds": ["skey-8a7c6b51"]},
        "ClientToken": "by-tccli",
    }
    file.write_text(json.dumps(wanted), encoding="utf-8")
    ids = shell.ask("cvm", "RunInstances", cli_input_json=f"file://{file}")["InstanceIdSet"]
    same("how many were made", len(ids), 2)
    waited = {"waiter": waiter("sort(InstanceSet[].InstanceState) | join(',', @)", "RUNNING,RUNNING")}
    found = shell.ask("cvm", "DescribeInstances", InstanceIds=ids, **waited)["InstanceSet"]
    same_set("their names", [one["InstanceName"] for one in found], ["cli-1", "cli-2"])

    step("an image of the first; waited for")
    golden = shell.ask("cvm", "CreateImage", InstanceId=ids[0], ImageName="cli-golden", ForcePoweroff="FALSE")[
        "ImageId"
    ]
    waited = {"waiter": waiter("ImageSet[0].ImageState", "NORMAL")}
    found = shell.ask("cvm", "DescribeImages", ImageIds=[golden], **waited)["ImageSet"]
    same("its name", [one["ImageName"] for one in found], ["cli-golden"])

    step("shared: the other account, by its environment, sees it and may not change it")
    share = {"ImageId": golden, "AccountIds": [uin(2)]}
    shell.ask("cvm", "ModifyImageSharePermission", Permission="SHARE", **share)
    theirs = variables_of(server, 2)
    done = shell.run(
        *shell.command("cvm", "DescribeImages", ImageIds=[golden], filter="ImageSet[].ImageType"), **theirs
    )
    same("what it is there", json.loads(done.stdout), ["SHARED_IMAGE"])
    code = "UnsupportedOperation.SharedImageModifyUnsupported"
    shell.refused(code, "cvm", "ModifyImageAttribute", theirs, ImageId=golden, ImageName="mine")
    shell.refused("InvalidImageId.InShared", "cvm", "DeleteImages", ImageIds=[golden])
    shell.ask("cvm", "ModifyImageSharePermission", Permission="CANCEL", **share)

    step("tags, by the tag service")
    described = [f"qcs::cvm:{GZ}:uin/{uin(1)}:image/{golden}"]
    tags = [{"TagKey": "by", "TagValue": "tccli"}]
    same("who failed", shell.ask("tag", "TagResources", ResourceList=described, Tags=tags)["FailedResources"], [])

    step("wrong credentials")
    shell.refused("AuthFailure.SignatureFailure", "cvm", "DescribeZones", secretKey="wrong")
    shell.refused("AuthFailure.SecretIdNotFound", "cvm", "DescribeZones", secretId="nobody")
    shell.refused(
        "AuthFailure.TokenFailure", "cvm", "DescribeZones", variables_of(server, 1, TENCENTCLOUD_TOKEN="token")
    )

    step("the end")
    shell.ask("cvm", "TerminateInstances", InstanceIds=ids)
    shell.ask("cvm", "DeleteImages", ImageIds=[golden], DryRun="true")
    shell.ask("cvm", "DeleteImages", ImageIds=[golden], DeleteBindedSnap="true")
    gone = {"waiter": waiter("TotalCount", 0)}
    shell.ask("cvm", "DescribeInstances", InstanceIds=ids, **gone)
    shell.ask("cvm", "DescribeImages", ImageIds=[golden], **gone)
    shell.refused("InvalidImageId.NotFound", "cvm", "DeleteImages", ImageIds=[golden])
