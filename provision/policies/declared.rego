# Refuses, before each plan and apply, a variable that a stack sets and its component does not have: Terraform warns, and goes on with
# the default of the right one.
package atmos

import rego.v1

# What a stack may set for all of its components (`vars`), and some of them do not have.
shared := {"environment", "permissions_boundary_arn", "region", "role_arn", "stage", "tags", "tenant"}

declared := object.keys(input.component_info.terraform_config.variables)

errors contains message if {
	some name, _ in input.vars
	not name in declared
	not excused(name)
	message := sprintf("%s: %s is no variable of %s: %s", [file(name), key(name), input.component, remedy(name)])
}

excused(name) if {
	name in shared
	not of_component(name)
}

# Where it is set, as Atmos has it.
place(name) := input.sources.vars[name].stack_dependencies[0]

of_component(name) if place(name).stack_file_section == "components.terraform.vars"

file(name) := sprintf("provision/stacks/%s.yaml", [place(name).stack_file]) if place(name)

else := input.atmos_stack

# The component there may be one that this one inherits from.
key(name) := sprintf("components.terraform.….vars.%s", [name]) if of_component(name)

else := sprintf("vars.%s", [name])

remedy(name) := "it has no effect there, leave it out." if name in shared

else := sprintf("is it %s?", [nearest(name)]) if nearest(name)

else := sprintf("provision/components/terraform/%s/README.md has them.", [input.component]) if of_component(name)

else := sprintf("set it at the components that have it; for all there are %s.", [concat(", ", sort(shared))])

# The right name with which it shares the most pairs of letters, where that is more than half of them.
nearest(name) := candidate if {
	scores := [[likeness(name, other), other] | some other in declared | shared]
	[score, candidate] := max(scores)
	score > 0.5
}

likeness(one, other) := (2 * count(pairs(one) & pairs(other))) / (count(pairs(one)) + count(pairs(other)))

pairs(name) := {substring(name, i, 2) | some i in numbers.range(0, count(name) - 2)}
