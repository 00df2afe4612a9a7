"""Has moto ask tests/infrastructure/iam/authorizer.mjs, at $T0RN_AUTHORIZER, about each call of a role of the workflows: AWS's enforcement.

moto's own knows no conditions. A role is who signs with its name as the access key, such as `apply`; who signs with another key is an administrator.
What a call is about is told from its parameters and from what moto has: ARNs, the tags of each and the request's, as the service authorization
reference has them. What is asked of a role besides is asked here as well: ec2:CreateTags for tags at birth, iam:PassRole, and for a group what
its launch template starts.
"""

import json
import os
import re
import socket

import calls
from moto.core.exceptions import AccessDeniedError, JsonRESTError
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

ROLES = ("plan", "apply", "bake", "publish")
ACCOUNT = "123456789012"
EC2 = {
    "acl": "network-acl", "ami": "image", "eigw": "egress-only-internet-gateway", "eipalloc": "elastic-ip", "eni": "network-interface",
    "fl": "vpc-flow-log", "i": "instance", "igw": "internet-gateway", "key": "key-pair", "lt": "launch-template", "nat": "natgateway", "rtb": "route-table",
    "sg": "security-group", "sgr": "security-group-rule", "snap": "snapshot", "subnet": "subnet", "vol": "volume", "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
# What a call makes, which has no ID yet.
MADE = {
    "AllocateAddress": ["elastic-ip"], "AuthorizeSecurityGroupEgress": ["security-group-rule"],
    "AuthorizeSecurityGroupIngress": ["security-group-rule"], "CopyImage": ["image", "snapshot"], "CreateEgressOnlyInternetGateway": ["egress-only-internet-gateway"],
    "CreateFlowLogs": ["vpc-flow-log"], "CreateImage": ["image", "snapshot"], "CreateInternetGateway": ["internet-gateway"],
    "CreateKeyPair": ["key-pair"], "CreateLaunchTemplate": ["launch-template"],
    "CreateNatGateway": ["natgateway"], "CreateNetworkAcl": ["network-acl"], "CreateRouteTable": ["route-table"],
    "CreateSecurityGroup": ["security-group"], "CreateSnapshot": ["snapshot"], "CreateSubnet": ["subnet"],
    "CreateVolume": ["volume"], "CreateVpc": ["vpc"],
    "CreateVpcEndpoint": ["vpc-endpoint"], "ImportKeyPair": ["key-pair"], "RunInstances": ["instance", "network-interface", "volume"],
}
# Parameters of other services, and the ARN that each names; what is no resource of a call, the evaluator says.
NAMED = {
    "autoscaling": {"AutoScalingGroupName AutoScalingGroupNames ResourceId": "{region}:{account}:autoScalingGroup:0a1b2c3d-0000-0000-0000-000000000000:autoScalingGroupName/{name}"},
    "cloudwatch": {"AlarmName AlarmNames": "{region}:{account}:alarm:{name}", "DashboardName DashboardNames": ":{account}:dashboard/{name}"},
    "events": {"Name Rule": "{region}:{account}:rule/{name}"},
    "iam": {
        "RoleName": ":{account}:role/{name}", "PolicyName": ":{account}:policy/{name}",
        "InstanceProfileName": ":{account}:instance-profile/{name}",
    },
    "kms": {"KeyId": "{region}:{account}:key/{name}"},
    "logs": {"logGroupName": "{region}:{account}:log-group:{name}"},
    "sns": {"Name": "{region}:{account}:{name}"},
    "ssm": {
        "Name Names": "{region}:{account}:parameter/{name}", "Name": "{region}:{account}:document/{name}",
        "ResourceId": "{region}:{account}:document/{name}",
    },
}


def enforce(response, action, bucket, key):
    """Refuses the call where its role may not do it."""
    role = re.search(r"Credential=([^/]+)/", response.headers.get("Authorization", ""))
    # Who one is may be asked without any right.
    if not role or role[1] not in ROLES or action == "sts:GetCallerIdentity":
        return
    for wanted, resources, context in requests(response, action, bucket, key):
        context = {"aws:RequestedRegion": response.region, "ec2:Region": response.region} | context
        reason = ask({"role": role[1], "action": wanted, "resources": resources, "context": context})
        if reason:
            with open(os.environ["T0RN_REFUSED"], "a", encoding="utf-8") as refused:
                print(f"{role[1]} {wanted} {json.dumps(context)}: {reason}", file=refused)
            user = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role[1]}/test"
            if is_json(response):
                raise JsonRESTError("AccessDeniedException", f"User: {user} is not authorized to perform: {wanted}")
            raise AccessDeniedError(user, wanted)


def is_json(response):
    return "json" in response.headers.get("Content-Type", "")


def parameters_of(response):
    if is_json(response) and not response.automated_parameter_parsing:
        return json.loads(response.body or "{}")
    return response._get_params()


def ask(question):
    try:
        with socket.socket(socket.AF_UNIX) as authorizer:
            authorizer.connect(os.environ["T0RN_AUTHORIZER"])
            with authorizer.makefile("rw", encoding="utf-8") as lines:
                print(json.dumps(question), file=lines, flush=True)
                answer = lines.readline()
    except OSError as error:
        return f"the authorizer cannot be asked: {error}"
    return answer.rstrip("\n") if answer else "the authorizer gave no answer"


def requests(response, action, bucket, key):
    """The actions that AWS asks a role's policies about, with ARNs and keys of conditions."""
    service = action.partition(":")[0]
    if service == "s3":
        arn = f"arn:aws:s3:::{bucket}" if bucket else "*"
        return [(action, [[f"{arn}/{key}" if key else arn, {}]], {})]
    parameters = parameters_of(response)
    if service == "ec2":
        return of_ec2(ec2_backends[ACCOUNT][response.region], action, parameters, response.region)
    context = request_tags(parameters.get("Tags") or parameters.get("tags"), parameters.get("TagKeys") or parameters.get("tagKeys"))
    for name, condition in (("PolicyArn", "iam:PolicyARN"), ("PermissionsBoundary", "iam:PermissionsBoundary"), ("AWSServiceName", "iam:AWSServiceName")):
        if name in parameters:
            context[condition] = parameters[name]
    resources = [[arn, {}] for arn in named(service, parameters, response.region)]
    asked = [(action, resources, context)]
    if action == "iam:AddRoleToInstanceProfile":
        asked.append(passed(f"arn:aws:iam::{ACCOUNT}:role/{parameters['RoleName']}", "ec2"))
    if action in ("autoscaling:CreateAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup") and "LaunchTemplate" in parameters:
        asked += launched(ec2_backends[ACCOUNT][response.region], parameters, response.region)
    return asked


def passed(role, service):
    return ("iam:PassRole", [[role, {}]], {"iam:PassedToService": f"{service}.amazonaws.com"})


def request_tags(tags, keys=None):
    """Of [{Key: …, Value: …}], also in lower case, or {KEY: VALUE}."""
    if isinstance(tags, list):
        tags = {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value", "")) for tag in tags}
    context = {f"aws:RequestTag/{name}": value for name, value in (tags or {}).items()}
    names = [*(tags or {}), *(keys or [])]
    return context | ({"aws:TagKeys": names} if names else {})


def named(service, parameters, region):
    """The ARNs that the parameters are, or name."""
    for value in texts(parameters):
        if value.startswith("arn:"):
            yield value
    for names, form in NAMED.get(service, {}).items():
        for name in names.split():
            values = parameters.get(name) or []
            for value in [values] if isinstance(values, str) else values:
                if not value.startswith("arn:"):
                    yield f"arn:aws:{service}:" + form.format(region=region, account=ACCOUNT, name=value.removeprefix("/") if service == "ssm" else value)
    for tag in parameters.get("Tags") or [] if service == "autoscaling" else []:
        yield from named(service, {"ResourceId": tag["ResourceId"]}, region)


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def of_ec2(backend, action, parameters, region):
    born, asked = {}, []
    for specification in parameters.get("TagSpecifications", []):
        born[specification["ResourceType"]] = request_tags(specification["Tags"])
    if action == "ec2:DeleteTags":
        context = request_tags(None, [tag["Key"] for tag in parameters.get("Tags", [])])
    else:
        context = request_tags(parameters.get("Tags") if action == "ec2:CreateTags" else None)
        for tags in born.values():
            context |= tags
    made = [[arn_of_ec2(kind, f"{kind}-new", region), {}] for kind in MADE.get(action.removeprefix("ec2:"), [])]
    asked.append((action, found(backend, parameters, region) + made, context))
    for kind, tags in born.items():
        asked.append(("ec2:CreateTags", [[arn_of_ec2(kind, f"{kind}-new", region), {}]], tags | {"ec2:CreateAction": action.removeprefix("ec2:")}))
    if action == "ec2:RunInstances":
        asked += handed(parameters.get("IamInstanceProfile", {}).get("Name"))
    if "DeliverLogsPermissionArn" in parameters:
        asked.append(passed(parameters["DeliverLogsPermissionArn"], "vpc-flow-logs"))
    return asked


def arn_of_ec2(kind, identifier, region):
    return f"arn:aws:ec2:{region}:{'' if kind in ('image', 'snapshot') else ACCOUNT}:{kind}/{identifier}"


def found(backend, parameters, region):
    """What the parameters name by an ID, with its tags and its VPC. A tag's value may look like one."""
    if isinstance(parameters, dict):
        parameters = {name: value for name, value in parameters.items() if name not in ("Tags", "TagSpecifications")}
    resources = []
    for identifier in {part for value in texts(parameters) for part in resolved(backend, value)}:
        kind = EC2.get(identifier.partition("-")[0])
        if kind:
            own = {f"aws:ResourceTag/{name}": value for name, value in backend.tags.get(identifier, {}).items()}
            vpc = vpc_of(backend, identifier)
            resources.append([arn_of_ec2(kind, identifier, region), own | ({"ec2:Vpc": arn_of_ec2("vpc", vpc, region)} if vpc else {})])
    return resources


def resolved(backend, value):
    """An ID, or those that an association, an address or a template's name stands for."""
    if not re.fullmatch(r"[a-z]+-[0-9a-f]{8,}", value):
        return []
    if value.startswith("rtbassoc-"):
        tables = [table for table in backend.route_tables.values() if value in table.all_associations_ids]
        return [part for table in tables for part in (table.id, table._associations.get(value, ""))]
    if value.startswith("aclassoc-"):
        acls = backend.network_acls.values()
        return [part for acl in acls for kept in acl.associations if kept.new_association_id == value for part in (acl.id, kept.subnet_id)]
    if value.startswith("eipassoc-"):
        return [address.allocation_id for address in backend.addresses if address.association_id == value]
    return [value]


def vpc_of(backend, identifier):
    places = [backend.network_acls, backend.route_tables, *backend.groups.values(), *backend.subnets.values()]
    return next((place[identifier].vpc_id for place in places if identifier in place), None)


def launched(backend, parameters, region):
    """What AWS asks of the role that gives a launch template to a group: to start an instance of it, and to hand it its role."""
    group, asked = parameters["AutoScalingGroupName"], []
    subnets = parameters.get("VPCZoneIdentifier", "").split(",")
    for template in [backend.launch_templates[value] for value in texts(parameters) if value in backend.launch_templates]:
        data = template.latest_version().data
        context = request_tags([tag for tag in parameters.get("Tags", []) if tag.get("PropagateAtLaunch")])
        for specification in data.get("TagSpecifications", []):
            context |= request_tags(specification.get("Tags", specification.get("Tag")))
        resources = found(backend, [data, template.id, subnets], region)
        resources += [[arn_of_ec2(kind, f"{kind}-of-{group}", region), {}] for kind in MADE["RunInstances"]]
        asked.append(("ec2:RunInstances", resources, context))
        profile = data.get("IamInstanceProfile", {}).get("Name")
        asked += handed(profile)
    return asked


def handed(profile):
    """Whoever starts an instance hands it the role of its profile."""
    roles = iam_backends[ACCOUNT]["aws"].get_instance_profile(profile).roles if profile else []
    return [passed(role.arn, "ec2") for role in roles]


if os.environ.get("T0RN_AUTHORIZER"):
    calls.observers.append(enforce)
