"""Has moto write each call to the file $T0RN_CALLS, as IAM names its action; with $T0RN_CALLS_OF, those of programs that say so of themselves."""

import os

from moto.core.authorization import ActionAuthenticatorMixin

# IAM's names where they are not those of the service and its call.
PREFIXES = {"monitoring": "cloudwatch"}
ACTIONS = {"s3:HeadBucket": "s3:ListBucket"}
# Called with the request, IAM's name of its action, and S3's bucket and key.
observers = []


def record(response, service, action, bucket=None, key=None):
    called = f"{PREFIXES.get(service, service)}:{action}"
    called = ACTIONS.get(called, called)
    if os.environ.get("T0RN_CALLS") and response.headers.get("User-Agent", "").startswith(os.environ.get("T0RN_CALLS_OF", "")):
        with open(os.environ["T0RN_CALLS"], "a", encoding="utf-8") as calls:
            print(called, file=calls)
    for observer in observers:
        observer(response, called, bucket, key)


def normal(self, resource="*"):
    record(self, self.service_name, self._get_action())


def s3(self, bucket_name=None, key_name=None):
    record(self, "s3", self.data.get("Action"), bucket_name, key_name)


ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = normal
ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = s3
