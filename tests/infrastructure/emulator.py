"""An emulated AWS on 127.0.0.1 (moto), and what an image of several volumes needs that moto lacks.

With $T0RN_AUTHORIZER, calls of a workflow's role are refused where it has no right (enforcement.py).

moto gives every image one made-up volume. EC2 takes a snapshot of each volume of the instance, with its mapping and with the
tags that CreateImage names for snapshots, and lets CreateImage change only whether a volume ends with its instance. moto
knows neither those tags nor EnableImageDeprecation.

usage: emulator.py PORT
"""

import sys

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.responses.amis import AmisResponse
from moto.server import main

sys.dont_write_bytecode = True
import enforcement  # noqa: E402, F401

create_image = AmiBackend.create_image
respond = AmisResponse.create_image


def with_every_volume(self, instance_id, name, description, tag_specifications):
    of_snapshots = [tag for asked in tag_specifications if asked["ResourceType"] == "snapshot" for tag in asked["Tags"]]
    others = [asked for asked in tag_specifications if asked["ResourceType"] != "snapshot"]
    image = create_image(self, instance_id, name, description, others)
    instance = self.get_instance(instance_id)
    image.mappings = []
    for device, block in instance.get_block_device_mapping:
        volume = self.volumes[block.volume_id]
        snapshot = self.create_snapshot(
            volume.id, f"Created by CreateImage({instance_id}) for {image.id}", image.owner_id
        )
        for tag in of_snapshots:
            snapshot.add_tag(tag["Key"], tag["Value"])
        image.mappings.append(
            {
                "DeviceName": device,
                "Ebs": {
                    "SnapshotId": snapshot.id,
                    "VolumeSize": volume.size,
                    "VolumeType": volume.volume_type,
                    "Encrypted": volume.encrypted,
                    "DeleteOnTermination": block.delete_on_termination,
                },
            }
        )
    return image


def as_asked(self):
    result = respond(self)
    image_id = result.result["ImageId"]
    image = self.ec2_backend.amis[image_id]
    for asked in self._get_param("BlockDeviceMappings", []):
        forbidden = set(asked.get("Ebs", {})) - {"DeleteOnTermination"}
        if forbidden:
            raise ValueError(f"EC2 does not let CreateImage change {forbidden} of {asked}")
        for mapping in image.mappings:
            if mapping["DeviceName"] == asked["DeviceName"]:
                mapping["Ebs"]["DeleteOnTermination"] = asked["Ebs"]["DeleteOnTermination"]
    return result


def deprecate(self):
    self.ec2_backend.describe_images([self._get_param("ImageId")])[0].deprecation_time = self._get_param("DeprecateAt")
    return ActionResult({"Return": True})


copy_respond = AmisResponse.copy_image


def tagged_at_birth(self):
    """A copy has the tags of its source where that is asked for, and those of the request, as its snapshots have."""
    token = self._get_param("ClientToken")
    if token in copies:
        return copies[token]
    result = copies[token] = copy_respond(self)
    copy = self.ec2_backend.amis[result.result["ImageId"]]
    tags = {"image": {}, "snapshot": {}}
    if self._get_param("CopyImageTags"):
        backend = ec2_backends[self.current_account][self._get_param("SourceRegion")]
        source = backend.amis[self._get_param("SourceImageId")]
        tags["image"] |= {tag["key"]: tag["value"] for tag in source.get_tags()}
    for specification in self._get_param("TagSpecifications", []):
        tags[specification["ResourceType"]] |= {tag["Key"]: tag["Value"] for tag in specification["Tags"]}
    copy.add_tags(tags["image"])
    copy.ebs_snapshot.add_tags(tags["snapshot"])
    return result


copies = {}
made_up = Ami.block_device_mappings.fget
Ami.block_device_mappings = property(lambda self: getattr(self, "mappings", None) or made_up(self))
AmiBackend.create_image = with_every_volume
AmisResponse.create_image = as_asked
AmisResponse.enable_image_deprecation = deprecate
AmisResponse.copy_image = tagged_at_birth

main(["-H", "127.0.0.1", "-p", sys.argv[1]])
