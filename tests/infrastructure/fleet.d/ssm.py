"""An emulated AWS on 127.0.0.1 (moto), with the part of Run Command that moto lacks: what each instance answers, and when.

usage: ssm.py PORT FILE     FILE: JSON, read at each call

    {"collators": {STACK: {"ping": "Online", "polls": 0, "status": "Success", "code": 0, "output": "…"}}, "default": {…},
     "deny": [ACTION], "deny_regions": [REGION], "throttle": N}

Each call is recorded (tests/infrastructure/calls.py). `ping` null is an instance that is not registered at Systems Manager, `status` null one that was not sent to.
"""

import json
import sys
from pathlib import Path

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.server import main
from moto.ssm.models import Command
from moto.ssm.responses import SimpleSystemManagerResponse as Ssm

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import calls  # noqa: E402, F401

FINAL = ("Success", "Failed", "Cancelled", "TimedOut")
FILE = Path(sys.argv[2])
PAGE = 50
polls, throttled = {}, 0


def asked(response, action):
    """The file, unless the call is refused."""
    global throttled
    state = json.loads(FILE.read_text())
    if action in state.get("deny", []) and response.region in state.get("deny_regions", [response.region]):
        raise JsonRESTError("AccessDeniedException", f"User is not authorized to perform: ssm:{action}")
    if action == "ListCommandInvocations" and throttled < state.get("throttle", 0):
        throttled += 1
        raise JsonRESTError("ThrottlingException", "Rate exceeded")
    return state


def collator(response, state, instance):
    """What the file says of an instance's stack."""
    found = ec2_backends[response.current_account][response.region].get_instance(instance)
    stack = next((tag["value"] for tag in found.get_tags() if tag["key"] == "Stack"), None)
    return {"ping": "Online", "polls": 0, "status": "Success", "code": 0, "output": ""} | state.get("default", {}) | state.get("collators", {}).get(stack, {})


def describe_instance_information(self):
    state = asked(self, "DescribeInstanceInformation")
    targets = [{"Key": one["Key"], "Values": one["Values"]} for one in self._get_param("Filters", [])]
    wanted = Command(account_id=self.current_account, backend_region=self.region, targets=targets).instance_ids
    known = [(instance, collator(self, state, instance)["ping"]) for instance in sorted(wanted)]
    return ActionResult({"InstanceInformationList": [
        {"InstanceId": instance, "PingStatus": ping, "LastPingDateTime": 1796000000} for instance, ping in known if ping
    ]})


def invocation(response, state, command, instance):
    said = collator(response, state, instance)
    base = {"CommandId": command.command_id, "InstanceId": instance, "DocumentName": command.document_name}
    if said["ping"] != "Online":
        return base | {"Status": "Pending", "StatusDetails": "Pending"}
    if polls[command.command_id] <= said["polls"]:
        return base | {"Status": "InProgress", "StatusDetails": "InProgress"}
    plugin = {"Name": "aws:runShellScript", "Status": said["status"], "ResponseCode": said["code"], "Output": said["output"][:2500]}
    return base | {"Status": said["status"], "StatusDetails": said.get("details", said["status"]), "CommandPlugins": [plugin]}


def list_command_invocations(self):
    state = asked(self, "ListCommandInvocations")
    command = self.ssm_backend.get_command_by_id(self._get_param("CommandId"))
    start = int(self._get_param("NextToken") or 0)
    if start == 0:
        polls[command.command_id] = polls.get(command.command_id, 0) + 1
    reached = [i for i in sorted(command.instance_ids) if collator(self, state, i)["ping"] and collator(self, state, i)["status"]]
    unsent = len(reached) < len([i for i in command.instance_ids if collator(self, state, i)["ping"]])
    every = [invocation(self, state, command, instance) for instance in reached]
    if command.status != "Cancelled":
        ended = unsent or all(one["Status"] in FINAL for one in every)
        command.status = "InProgress" if not ended else "Failed" if unsent or any(one["Status"] != "Success" for one in every) else "Success"
    following = str(start + PAGE) if len(every) > start + PAGE else None
    return ActionResult({"CommandInvocations": every[start : start + PAGE], "NextToken": following})


def cancel_command(self):
    asked(self, "CancelCommand")
    self.ssm_backend.get_command_by_id(self._get_param("CommandId")).status = "Cancelled"
    return ActionResult({})


def send_command(self):
    asked(self, "SendCommand")
    sent = send(self)
    # Not done before it was asked for.
    self.ssm_backend._commands[-1].status = "InProgress"
    return sent


send = Ssm.send_command
Ssm.describe_instance_information = describe_instance_information
Ssm.list_command_invocations = list_command_invocations
Ssm.cancel_command = cancel_command
Ssm.send_command = send_command

main(["-H", "127.0.0.1", "-p", sys.argv[1]])
