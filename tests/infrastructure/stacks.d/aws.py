"""An emulated AWS on 127.0.0.1 (moto), with what the workflows of the stacks need that moto lacks.

Instance refreshes are taken and end at once. Each action is written to the file $T0RN_CALLS, as IAM names it.

usage: aws.py PORT
"""

import os
import sys
import uuid

from moto.autoscaling.responses import AutoScalingResponse
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import ActionResult
from moto.server import main

# IAM's names where they are not those of the service and its call.
PREFIXES = {"monitoring": "cloudwatch"}
ACTIONS = {"s3:HeadBucket": "s3:ListBucket"}
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


AutoScalingResponse.start_instance_refresh = start_instance_refresh
AutoScalingResponse.describe_instance_refreshes = describe_instance_refreshes


def record(service, action):
    called = f"{PREFIXES.get(service, service)}:{action}"
    if os.environ.get("T0RN_CALLS"):
        with open(os.environ["T0RN_CALLS"], "a") as calls:
            print(ACTIONS.get(called, called), file=calls)


def normal(self, resource="*"):
    record(self.service_name, self._get_action())


def s3(self, bucket_name=None, key_name=None):
    record("s3", self.data.get("Action"))


ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = normal
ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = s3

main(["-H", "127.0.0.1", "-p", sys.argv[1]])
