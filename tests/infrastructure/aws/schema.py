"""Writes the AWS provider's schema, as the plugin protocol has it, from what CDKTF generated from that schema.

usage: schema.py LIB OUT TYPE…     LIB: lib/ of npm's @cdktf/provider-aws, TYPE: a resource's, or data.TYPE

CDKTF does not tell which of the optional attributes are computed as well, so all are: what a configuration leaves out is
unknown in a plan of the stub, and never wrongly null.
"""

import json
import re
import sys
from pathlib import Path

from tf.gen import tfplugin_pb2 as pb

NESTING = pb.Schema.NestedBlock.NestingMode
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "string"}
# Of the simple attributes, these have a value of their own only if one was given.
NEVER_COMPUTED = {"tags"}

ENTRY = re.compile(
    r"^ +(?P<name>\w+): \{\n +value: (?P<value>.*),\n +isBlock: (?P<block>true|false),\n"
    r' +type: "(?P<type>\w+)",\n +storageClassType: "(?P<storage>\w+)",$',
    re.M,
)
COMPUTED = re.compile(
    r"// (?P<name>\w+) - computed: true, optional: false, required: false\n +(?:get \w+\(\) \{\n +return (?P<get>.*);"
    r"|this\.\w+ = new (?P<class>[\w.]+)\(this, .*\);)"
)
GETTER = re.compile(r"this\.get(\w+)Attribute\(")


class Module:
    """One resource or data source, or the provider itself."""

    def __init__(self, directory):
        js = (directory / "index.js").read_text()
        self.fields = {}  # what is written: struct -> its entries
        for match in re.finditer(r"^function (\w+)ToHclTerraform\(struct\)(.*?)^\}", js, re.M | re.S):
            self.fields[match[1].lower()] = [m.groupdict() for m in ENTRY.finditer(match[2])]
        self.computed = {}  # what is only read: class -> its entries
        for part in re.split(r"^class ", js, flags=re.M)[1:]:
            name = part.split(" ", 1)[0]
            entries = [m.groupdict() for m in COMPUTED.finditer(part)]
            self.computed[name.removesuffix("OutputReference").lower()] = entries
            if "synthesizeHclAttributes() {" in part:
                self.name = name.lower()
                self.fields[self.name] = [m.groupdict() for m in ENTRY.finditer(part.split("synthesizeHclAttributes() {")[1])]
        declarations = (directory / "index.d.ts").read_text()
        self.declared = {}  # struct -> attribute -> (required, is a block, of how many)
        for match in re.finditer(r"^export interface (\w+) (.*?)^\}", declarations, re.M | re.S):
            struct = match[1].lower()
            if struct == f"{self.name}config":
                struct = self.name
            self.declared[struct] = {
                m["name"]: (not m["optional"], f"* {m['name']} block" in m["doc"], m["type"].rstrip().endswith(("[]", "IResolvable")))
                for m in re.finditer(
                    r"/\*\*(?P<doc>(?:(?!\*/).)*?#(?P<name>\w+) (?:(?!\*/).)*)\*/\s+readonly \w+(?P<optional>\??): (?P<type>[^;]*);",
                    match[2],
                    re.S,
                )
            }

    def block(self, struct=None, top=True):
        """The schema of a struct: the whole module's if none is named."""
        struct = struct or self.name
        declared = self.declared.get(struct, {})
        result = pb.Schema.Block()
        for entry in self.fields.get(struct, []):
            name = entry["name"]
            required, is_block, many = declared.get(name, (False, False, False))
            if top and name in ("alias", "id") and not required:
                continue
            if is_block and name == "timeouts":
                nested = result.block_types.add(type_name=name, nesting=NESTING.SINGLE)
                nested.block.CopyFrom(self.block(inner(entry["value"]), top=False))
            elif is_block:
                nested = result.block_types.add(type_name=name, nesting=NESTING.SET if entry["type"] == "set" else NESTING.LIST)
                nested.min_items, nested.max_items = int(required), int(not many)
                nested.block.CopyFrom(self.block(inner(entry["value"]), top=False))
            else:
                result.attributes.add(
                    name=name,
                    type=json.dumps(self.type(entry)).encode(),
                    required=required,
                    optional=not required,
                    computed=top and not required and name not in NEVER_COMPUTED and self.name != "awsprovider",
                )
        for entry in self.computed.get(struct, []):
            result.attributes.add(name=entry["name"], type=json.dumps(self.read_type(entry)).encode(), computed=True)
        if top and self.name != "awsprovider" and "id" not in {a.name for a in result.attributes}:
            # CDKTF gives every type an id to set; the provider only data sources, of those whose id is told apart.
            result.attributes.add(name="id", type=b'"string"', optional=self.name.startswith("data"), computed=True)
        return result

    def type(self, entry):
        """The type of an attribute that is written."""
        storage = entry["storage"]
        if entry["block"] == "true":
            return self.collection(entry["type"], self.object(inner(entry["value"])))
        element = SIMPLE[re.sub(r"(List|Map)+$", "", storage)]
        return self.collection(entry["type"], element)

    def read_type(self, entry):
        """The type of an attribute that is only read."""
        if entry["class"]:
            name = entry["class"]
            if name.startswith("cdktf."):
                return ["map", "string"]
            element = self.object(re.sub(r"(List|Map|OutputReference)$", "", name).lower())
            return element if name.endswith("OutputReference") else ["list", element]
        kind = GETTER.search(entry["get"] or "")
        kinds = {"String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"], "NumberList": ["list", "number"]}
        if kind and kind[1].endswith("Map"):
            return ["map", SIMPLE[kind[1].removesuffix("Map").lower()]]
        if kind and kind[1] in kinds:
            return ["set", "string"] if "Fn.tolist" in entry["get"] else kinds[kind[1]]
        # The getter of a class: its constructor tells the type.
        return None

    def object(self, struct):
        """The type of a struct that is an attribute and not a block."""
        members = {e["name"]: self.type(e) for e in self.fields.get(struct, [])}
        members.update((e["name"], self.read_type(e)) for e in self.computed.get(struct, []))
        return ["object", members]

    @staticmethod
    def collection(kind, element):
        return [kind, element] if kind in ("list", "set", "map") else element


def inner(value):
    """The struct that a value is mapped by."""
    return re.findall(r"(\w+)ToHclTerraform", value)[-1].lower()


def directory(type_name):
    """Where CDKTF keeps a type."""
    return type_name.replace("data.aws_", "data-aws-").removeprefix("aws_").replace("_", "-")


def main():
    lib, out, *types = sys.argv[1:]
    response = pb.GetProviderSchema.Response()
    response.provider.block.CopyFrom(Module(Path(lib) / "provider").block())
    for type_name in types:
        schemas = response.data_source_schemas if type_name.startswith("data.") else response.resource_schemas
        schemas[type_name.removeprefix("data.")].block.CopyFrom(Module(Path(lib) / directory(type_name)).block())
    Path(out).write_bytes(response.SerializeToString())


if __name__ == "__main__":
    main()
