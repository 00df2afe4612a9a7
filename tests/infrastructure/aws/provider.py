"""An AWS provider that knows the schema and does nothing: what Terraform checks and plans with it is real, and what it
creates has made-up identifiers.

usage: provider.py SCHEMA --dev     SCHEMA: what schema.py wrote; prints how Terraform attaches to it
"""

import hashlib
import json
import sys
from pathlib import Path

from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc
from tf.runner import run_provider
from tf.types import Unknown
from tf.utils import read_dynamic_value, to_dynamic_value

REGION = "eu-central-1"
ACCOUNT = "123456789012"
# What a data source says that others compute with.
KNOWN = {
    "aws_ami": {
        "architecture": "x86_64",
        "root_device_name": "/dev/xvda",
        "block_device_mappings": [{"device_name": "/dev/sdf", "ebs": {}, "no_device": "", "virtual_name": ""}],
    },
    "aws_availability_zones": {"names": [f"{REGION}{zone}" for zone in "abc"], "zone_ids": [f"euc1-az{n}" for n in (2, 3, 1)]},
    "aws_caller_identity": {"account_id": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/stub", "user_id": "AIDASTUB"},
    "aws_ebs_snapshot": {"encrypted": True},
    "aws_iam_policy_document": {"json": '{"Version":"2012-10-17","Statement":[]}'},
    "aws_partition": {"partition": "aws", "dns_suffix": "amazonaws.com"},
    "aws_region": {"name": REGION, "region": REGION, "id": REGION},
}


class Servicer(rpc.ProviderServicer):
    """The plugin protocol. Answers to what is only looked at are empty: no diagnostics."""

    def __init__(self, schema):
        self.schema = schema

    def GetProviderSchema(self, request, context):
        return self.schema

    def GetFunctions(self, request, context):
        return pb.GetFunctions.Response()

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        return pb.ConfigureProvider.Response()

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()

    def UpgradeResourceState(self, request, context):
        return pb.UpgradeResourceState.Response(upgraded_state=to_dynamic_value(json.loads(request.raw_state.json)))

    def ReadResource(self, request, context):
        return pb.ReadResource.Response(new_state=request.current_state, private=request.private)

    def PlanResourceChange(self, request, context):
        planned = read_dynamic_value(request.proposed_new_state)
        if planned is not None and read_dynamic_value(request.prior_state) is None:
            for attribute in self.schema.resource_schemas[request.type_name].block.attributes:
                if attribute.computed and planned.get(attribute.name) is None:
                    planned[attribute.name] = Unknown
        # As AWS's own: what it plans need not be, to the letter, what it was asked for.
        return pb.PlanResourceChange.Response(planned_state=to_dynamic_value(planned), legacy_type_system=True)

    def ApplyResourceChange(self, request, context):
        state = read_dynamic_value(request.planned_state)
        if state is not None:
            block = self.schema.resource_schemas[request.type_name].block
            seed = hashlib.sha256(request.config.SerializeToString()).hexdigest()
            state = {name: None if value is Unknown else value for name, value in state.items()}
            fill(state, block, request.type_name, seed)
        return pb.ApplyResourceChange.Response(new_state=to_dynamic_value(state), legacy_type_system=True)

    def ReadDataSource(self, request, context):
        state = read_dynamic_value(request.config)
        state.update(KNOWN.get(request.type_name, {}))
        seed = hashlib.sha256(request.config.SerializeToString()).hexdigest()
        fill(state, self.schema.data_source_schemas[request.type_name].block, request.type_name, seed)
        return pb.ReadDataSource.Response(state=to_dynamic_value(state))


def fill(state, block, type_name, seed):
    """Gives what is only computed a value of its type, which says whose it is."""
    kind = type_name.removeprefix("aws_").replace("_", "-")
    made_up = {
        "id": f"{kind}-{seed[:17]}",
        "arn": f"arn:aws:stub:{REGION}:{ACCOUNT}:{kind}/{seed[:17]}",
        "latest_version": 1,
        "owner_id": ACCOUNT,
        "region": REGION,
    }
    for attribute in block.attributes:
        if state.get(attribute.name) is not None or not attribute.computed:
            continue
        if attribute.name in made_up:
            value = made_up[attribute.name]
            state[attribute.name] = str(value) if json.loads(attribute.type) == "string" else value
        elif attribute.name == "tags_all":
            state[attribute.name] = state.get("tags") or {}
        elif not attribute.optional:
            of_type = json.loads(attribute.type)
            values = {"string": f"{kind}-{attribute.name}-{seed[:8]}", "number": 0, "bool": False, "map": {}, "list": [], "set": []}
            state[attribute.name] = values.get(of_type if isinstance(of_type, str) else of_type[0])


class Stub:
    """What the runner asks of a provider."""

    def full_name(self):
        return "registry.terraform.io/hashicorp/aws"


def main():
    schema = pb.GetProviderSchema.Response()
    schema.ParseFromString(Path(sys.argv[1]).read_bytes())
    # The runner serves what the library's own servicer is: of the protocol, that knows too little.
    import tf.provider

    tf.provider.ProviderServicer = lambda _: Servicer(schema)
    run_provider(Stub(), sys.argv)


if __name__ == "__main__":
    main()
