# Rows of provision/fleet: from what AWS answers to a table and an exit code. One row for each instance, and for each group without.

def final: . as $status | ["Success", "Failed", "Cancelled", "TimedOut"] | index($status) != null;

# Whether nothing more is to be expected: input is a list of invocations, which may lag behind their command.
def settled($state; $managed):
  (.CommandInvocations | map({key: .InstanceId, value: .Status}) | from_entries) as $statuses
  | ($state | final) and ($state != "Success" or ($statuses | . != {} and all(.[]; final)))
    or ($managed.InstanceInformationList | map(select(.PingStatus == "Online")) | all(.InstanceId as $id | $statuses[$id] // "" | final));

# The agent's status is one line, whatever Systems Manager adds to it.
def status: (.output // "" | split("\n")[0] | fromjson? | objects) // null;

# A time as the AWS CLI writes it: version 1 as a number, version 2 as text.
def moment: if type == "number" then floor | todate else . // "?" end;

# What became of a command at one instance.
def answer($invocation; $information; $state):
  if $invocation != null and ($invocation.Status | final) then
    $invocation.CommandPlugins[0] as $plugin
    | if $invocation.Status == "Success" or ($invocation.Status == "Failed" and ($plugin.ResponseCode // -1) >= 0) then
        {answer: "answered", code: ($plugin.ResponseCode // 0), output: ($plugin.Output // "")}
      else
        {answer: "unanswered", note: "Systems Manager: \($invocation.StatusDetails // $invocation.Status)"}
      end
  elif $information == null then {answer: "unregistered", note: "not registered at Systems Manager: its SSM agent, its role or its way out"}
  elif $information.PingStatus != "Online" then
    {answer: "offline", note: "\($information.PingStatus), last heard of at \($information.LastPingDateTime | moment)"}
  elif $state == "Failed" then {answer: "unsent", note: "not sent: too many had failed before"}
  else {answer: "silent", note: "no answer in time"}
  end;

def rows($account; $region; $state; $groups; $managed; $invocations):
  ($managed.InstanceInformationList | map({key: .InstanceId, value: .}) | from_entries) as $information
  | ($invocations.CommandInvocations | map({key: .InstanceId, value: .}) | from_entries) as $invocation
  | [ $groups.AutoScalingGroups[]
      | ((.Tags // []) | map(select(.Key == "Stack"))[0].Value // .AutoScalingGroupName) as $stack
      | if (.Instances | length) == 0 then {$stack, instance: null} else .Instances[] | {$stack, instance: .InstanceId} end
    ] as $grouped
  | ($grouped | map(.instance)) as $known
  | $grouped + [$information | keys[] | select(. as $id | $known | index([$id]) | not) | {stack: null, instance: .}]
  | map({$account, $region} + . + (
      if .instance == null then {answer: "absent", note: "the group has no instance: look at its activity"}
      else answer($invocation[.instance]; $information[.instance]; $state)
      end))
  | map(. + if .answer == "answered" then {status: status} else {} end)
  | sort_by(.region, .stack, .instance);

# The row of an account and region that cannot be asked, and why.
def refused($place; $why):
  ($place / ",") as [$account, $region]
  | [{$account, $region, stack: null, instance: null, answer: "refused", note: ($why | gsub("\\s+"; " ") | ltrimstr(" ") | rtrimstr(" "))}];

# Health of a row; what gave no readable status is unreachable.
def health: if .answer == "answered" and .status.health != null then .status.health else "unreachable" end;

def chain($name): .status.chains[$name] | if . == null then "-" else "\(.best // "?") (\(if .behind == null then "?" else "-\(.behind)" end))" end;

def image: (.status.collator.image // "?") + (.status.collator.digest | if . == null then "" else " \(ltrimstr("sha256:")[:12])" end);

def note: .note // .status.summary // (if .answer == "answered" then "no readable status: \(.output // "" | gsub("\\s+"; " ") | .[:80])" else "" end);

def cells($accounts):
  (if $accounts then [.account] else [] end)
  + [(.region | if . == "" then "-" else . end), .stack // "-", .instance // "-", if .answer == "refused" then "-" else health end]
  + (if .status then [chain("parachain"), chain("relaychain"), (.status.agent.version // "?"), image] else ["", "", "", ""] end)
  + [note];

def aligned:
  (transpose | map(map(length) | max)) as $widths
  | map([range(length) as $i | .[$i] + (if $i == length - 1 then "" else " " * ($widths[$i] - (.[$i] | length)) // "" end)] | join("  ")) | .[];

def counts: "\(length) collator\(if length == 1 then "" else "s" end): " + (group_by(health) | map("\(length) \(.[0] | health)") | join(", "));

# An account and region, of which no collator is known.
def place: [.account, .region] | map(select(. != "")) | if . == [] then "the account at hand" else join(" ") end;

def summary:
  (map(select(.answer == "refused"))) as $refused
  | [(. - $refused | if . == [] then empty else counts end), ($refused | if . == [] then empty else "not asked: " + (map(place) | join(", ")) end)]
  | join("; ");

def table:
  (map(.account) | any(. != "")) as $accounts
  | ([(if $accounts then ["ACCOUNT"] else [] end) + ["REGION", "STACK", "INSTANCE", "HEALTH", "PARACHAIN", "RELAYCHAIN", "AGENT", "IMAGE", "SAYS"]]
     + map(cells($accounts)) | map(map(tostring)) | aligned),
    summary;

def blocks:
  .[] | "== \(.account | if . == "" then "" else . + " " end)\(.region) \(.stack // "-") \(.instance // "-"): "
    + (if .answer == "answered" then "exit code \(.code)\n\(.output)" else "\(.answer): \(.note)" end);

def shown($form; $document):
  if $form == "json" then .
  elif length == 0 then "no collator: is the tag Component=collator on its group, and is this its region?"
  elif $document == "status" then table
  else blocks
  end;

# The gravest: critical, then what cannot be asked, then degraded.
def code($document):
  if length == 0 or $document != "status" then
    (if length == 0 or any(.answer != "answered") then 3 elif any(.code != 0) then 1 else 0 end)
  else
    map({ok: 0, degraded: 1, critical: 2}[health] // 3)
    | if index([2]) then 2 elif index([3]) then 3 else max end
  end;
