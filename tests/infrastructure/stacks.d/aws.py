"""An emulated AWS on 127.0.0.1 (moto), with what the workflows of the stacks need that moto lacks.

Instance refreshes are taken and end at once, and images have the chain's volume. Each call is recorded (tests/infrastructure/calls.py),
and with $T0RN_AUTHORIZER those of the workflows' roles are refused where a role has no right (enforcement.py).

usage: aws.py PORT
"""

import sys
import uuid
from pathlib import Path

from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.ec2.models.amis import Ami
from moto.server import main

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import enforcement  # noqa: E402, F401

refreshes = {}


def start_instance_refresh(self):
    refresh = str(uuid.uuid4())
    refreshes.setdefault(self._get_param("AutoScalingGroupName"), []).insert(0, refresh)
    return ActionResult({"InstanceRefreshId": refresh})


def describe_instance_refreshes(self):
    name = self._get_param("AutoScalingGroupName")
    found = [
        {"InstanceRefreshId": refresh, "AutoScalingGroupName": name, "Status": "Successful", "PercentageComplete": 100}
        for refresh in refreshes.get(name, [])
    ]
    return ActionResult({"InstanceRefreshes": found})


root_alone = Ami.block_device_mappings.fget


def with_chain(self):
    (root,) = root_alone(self)
    return [root, root | {"DeviceName": "/dev/sdf"}]


Ami.block_device_mappings = property(with_chain)
AutoScalingResponse.start_instance_refresh = start_instance_refresh
AutoScalingResponse.describe_instance_refreshes = describe_instance_refreshes


main(["-H", "127.0.0.1", "-p", sys.argv[1]])
