//! Broken configurations, each with its exact message.

use super::Config;

/// A configuration, and what is said of it. Where the image is not the question, one is added below.
const BROKEN: &[(&str, &str)] = &[
    (
        "[collator]",
        "agent.toml:1: key `collator.image`: missing; write the image to run, as NAME:TAG or NAME@sha256:…",
    ),
    (
        r#"[agent]
state_dir = "/x""#,
        "agent.toml:1: key `collator.image`: missing; write the image to run, as NAME:TAG or NAME@sha256:…",
    ),
    (
        r#"[collator]
imag = "a:1""#,
        "agent.toml:1: key `collator.image`: missing; write the image to run, as NAME:TAG or NAME@sha256:…
agent.toml:2: key `collator.imag`: unknown key (did you mean `image`?); correct or remove it",
    ),
    (
        "[collator]
image = 5",
        "agent.toml:2: key `collator.image`: 5 is no string; write it in quotes",
    ),
    (
        r#"[collator]
image = """#,
        r#"agent.toml:2: key `collator.image`: "" is no image; write NAME:TAG or NAME@sha256:…"#,
    ),
    (
        r#"[collator]
image = "T0rn/Collator:1""#,
        r#"agent.toml:2: key `collator.image`: "T0rn/Collator:1" has capital letters in the repository's name; write them small"#,
    ),
    (
        r#"[collator]
image = "https://example.com/a:1""#,
        r#"agent.toml:2: key `collator.image`: "https://example.com/a:1" begins with a scheme; write it without"#,
    ),
    (
        r#"[collator]
image = "a@sha256:12""#,
        r#"agent.toml:2: key `collator.image`: "a@sha256:12" has no valid digest; write @sha256: and 64 hexadecimal digits in lower case"#,
    ),
    (
        r#"[collator]
image = "a:1"
command = "--collator""#,
        r#"agent.toml:3: key `collator.command`: "--collator" is no list; write it as ["…", "…"]"#,
    ),
    (
        r#"[collator]
image = "a:1"
command = [
  "--name",
  5,
]"#,
        "agent.toml:5: key `collator.command[1]`: 5 is no string; write it in quotes",
    ),
    (
        r#"[collator]
image = "a:1"
container = "/t0rn""#,
        r#"agent.toml:3: key `collator.container`: "/t0rn" is no name; write 2 to 128 letters, digits, dots, dashes or underscores, the first a letter or digit"#,
    ),
    (
        r#"[collator]
image = "a:1"
pull = "sometimes""#,
        r#"agent.toml:3: key `collator.pull`: "sometimes" is not among the choices; write "always" or "missing" or "never""#,
    ),
    (
        r#"[collator]
image = "a:1"
env = { TOKEN = 12345 }"#,
        "agent.toml:3: key `collator.env.TOKEN`: its value is no string; write it in quotes",
    ),
    (
        r#"[collator]
image = "a:1"
env = ["A=b"]"#,
        r#"agent.toml:3: key `collator.env`: a list is no table; write it as { KEY = "value" }"#,
    ),
    (
        r#"[collator]
image = "a:1"
network = "none""#,
        r#"agent.toml:3: key `collator.network`: "none" cuts the collator off; write bridge, host or a network's name: a collator needs peers, and the agent its exporters"#,
    ),
    (
        r#"[collator]
image = "a:1"
network = "host"
ports = ["1:1"]"#,
        r#"agent.toml:4: key `collator.ports`: ports are published although network is "host"; remove ports: on the host's network every port is the host's"#,
    ),
    (
        r#"[collator]
image = "a:1"
ports = ["7001", "0:7001", "127.0.0.1:70000:1", "x:1:1", "1:1/sctp"]"#,
        r#"agent.toml:3: key `collator.ports[0]`: "7001" names one port only; write "HOST:CONTAINER" or "ADDRESS:HOST:CONTAINER", with /tcp or /udp at will
agent.toml:3: key `collator.ports[1]`: "0:7001" has a port outside 1 to 65535; write "HOST:CONTAINER" or "ADDRESS:HOST:CONTAINER", with /tcp or /udp at will
agent.toml:3: key `collator.ports[2]`: "127.0.0.1:70000:1" has a port outside 1 to 65535; write "HOST:CONTAINER" or "ADDRESS:HOST:CONTAINER", with /tcp or /udp at will
agent.toml:3: key `collator.ports[3]`: "x:1:1" names no valid address; write "HOST:CONTAINER" or "ADDRESS:HOST:CONTAINER", with /tcp or /udp at will
agent.toml:3: key `collator.ports[4]`: "1:1/sctp" names a protocol that is neither tcp nor udp; write "HOST:CONTAINER" or "ADDRESS:HOST:CONTAINER", with /tcp or /udp at will"#,
    ),
    (
        r#"[collator]
image = "a:1"
ports = ["127.0.0.1:7001:7001", "[::1]:7001:7001", "7001:7002/tcp"]"#,
        "agent.toml:3: key `collator.ports[2]`: host port 7001/tcp is published twice; publish it once",
    ),
    (
        r#"[collator]
image = "a:1"
user = "t0rn""#,
        r#"agent.toml:3: key `collator.user`: "t0rn" is no user; write UID:GID in numbers, such as "1000:1000", or "" for the image's own user"#,
    ),
    (
        r#"[collator]
image = "a:1"
user = 1000"#,
        "agent.toml:3: key `collator.user`: 1000 is no string; write it in quotes",
    ),
    (
        r#"[collator]
image = "a:1"
stop_timeout = "0s""#,
        r#"agent.toml:3: key `collator.stop_timeout`: "0s" is too short; write 1s to 1h"#,
    ),
    (
        r#"[collator]
image = "a:1"
stop_timeout = 300"#,
        r#"agent.toml:3: key `collator.stop_timeout`: 300 is no duration; write a number and a unit in quotes, such as "30s""#,
    ),
    (
        r#"[collator]
image = "a:1"
memory = "3G""#,
        r#"agent.toml:3: key `collator.memory`: "3G" is no size; write a number and a unit (KiB, MiB, GiB, TiB), such as "2GiB""#,
    ),
    (
        r#"[collator]
image = "a:1"
memory = "1MiB""#,
        r#"agent.toml:3: key `collator.memory`: "1MiB" is too small; write 6MiB to 1024TiB"#,
    ),
    (
        r#"[collator]
image = "a:1"
nofile = 100"#,
        "agent.toml:3: key `collator.nofile`: 100 is out of range; write a whole number from 1024 to 1073741816",
    ),
    (
        r#"[collator]
image = "a:1"
log_max_files = -1"#,
        "agent.toml:3: key `collator.log_max_files`: -1 is out of range; write a whole number from 1 to 1000",
    ),
    (
        r#"[collator]
image = "a:1"
image = "b:1""#,
        "agent.toml:3: key `image`: written twice; remove one of them",
    ),
    (
        r#"[collator
image = "a:1""#,
        "agent.toml:1: not valid TOML: unclosed table, expected `]`; correct this line",
    ),
    (
        "[collator]
image = a:1",
        "agent.toml:2: not valid TOML: string values must be quoted, expected literal string; correct this line",
    ),
    (
        r#"[data]
path = "var/lib/t0rn""#,
        r#"agent.toml:2: key `data.path`: "var/lib/t0rn" is a relative path; write it from the root, beginning with /"#,
    ),
    (
        r#"[data]
path = "/var/lib/../t0rn"
target = "/""#,
        r#"agent.toml:2: key `data.path`: "/var/lib/../t0rn" contains ..; write the path without it
agent.toml:3: key `data.target`: "/" is the root directory; name a directory or file below it"#,
    ),
    (
        r#"[data]
path = "/var/lib/t0rn-agent""#,
        r#"agent.toml:2: key `data.path`: agent.state_dir and data.path are both "/var/lib/t0rn-agent"; give the agent a directory of its own: the collator may write to its data"#,
    ),
    (
        r#"[data]
path = "/etc/collator""#,
        r#"agent.toml:2: key `data.path`: data.path is "/etc/collator", which is the system's; give the collator a directory of its own, such as /var/lib/t0rn-collator"#,
    ),
    (
        r#"[data]
path = "/a:b""#,
        r#"agent.toml:2: key `data.path`: "/a:b" contains a colon; use a path without one: Docker separates the two sides of a mount with it"#,
    ),
    (
        r#"data = "/var/lib/t0rn""#,
        r#"agent.toml:1: key `data`: "/var/lib/t0rn" is no table; write `[data]` above its keys"#,
    ),
    (
        r#"[mounts]
source = "/a"
target = "/b""#,
        "agent.toml:1: key `mounts`: a table is no list of tables; write `[[mounts]]` above each of them",
    ),
    (
        r#"mounts = ["/a:/b"]"#,
        r#"agent.toml:1: key `mounts[0]`: "/a:/b" is no table; write `[[mounts]]` above each of them"#,
    ),
    (
        r#"[[mounts]]
source = "/a""#,
        "agent.toml:1: key `mounts[0].target`: missing; write the path in the container",
    ),
    (
        r#"[[mounts]]
source = "/a"
target = "/node/data/""#,
        r#"agent.toml:3: key `mounts[0].target`: "/node/data" is mounted twice; give every mount a target of its own"#,
    ),
    (
        r#"[[mounts]]
source = "/a"
target = "/b"
readonly = true"#,
        "agent.toml:4: key `mounts[0].readonly`: unknown key (did you mean `read_only`?); correct or remove it",
    ),
    (
        "[chains]",
        "agent.toml:1: key `chains`: names no chain; write [chains.parachain] or [chains.relaychain], or leave [chains] out for both",
    ),
    (
        r#"[chains.polkadot]
metrics = "http://127.0.0.1:9615/metrics""#,
        "agent.toml:1: key `chains`: names no chain; write [chains.parachain] or [chains.relaychain], or leave [chains] out for both
agent.toml:1: key `chains.polkadot`: unknown key; remove it: `t0rn-agent config default` lists all that exist",
    ),
    (
        r#"[chains.parachain]
metrics = "127.0.0.1:7001""#,
        r#"agent.toml:2: key `chains.parachain.metrics`: "127.0.0.1:7001" is no URL; write http://HOST:PORT/PATH"#,
    ),
    (
        r#"[chains.parachain]
metrics = "https://127.0.0.1:7001/metrics""#,
        r#"agent.toml:2: key `chains.parachain.metrics`: "https://127.0.0.1:7001/metrics" is no http URL; write http://HOST:PORT/PATH"#,
    ),
    (
        r#"[chains.parachain]
metrics = "http://me:secret@127.0.0.1:7001/metrics""#,
        "agent.toml:2: key `chains.parachain.metrics`: a URL with a user, a password or a fragment; write http://HOST:PORT/PATH alone",
    ),
    (
        r#"[chains.parachain]
prefix = "substrate_""#,
        r#"agent.toml:2: key `chains.parachain.prefix`: "substrate_" is no prefix of metric names; write what stands before _block_height on the exporter's page, such as "substrate""#,
    ),
    (
        r#"[chains.parachain]
metrics = "http://127.0.0.1:9616/metrics"
[chains.relaychain]"#,
        "agent.toml:2: key `chains.parachain.metrics`: both chains have the exporter http://127.0.0.1:9616/metrics; write each chain's own: the node has two exporters",
    ),
    (
        r#"[health]
scrape_interval = "5 x""#,
        r#"agent.toml:2: key `health.scrape_interval`: "5 x" is no duration; write a number and a unit (ms, s, m, h, d), such as "30s" or "1h30m""#,
    ),
    (
        r#"[health]
scrape_interval = "-5s""#,
        r#"agent.toml:2: key `health.scrape_interval`: "-5s" is negative; write a positive duration"#,
    ),
    (
        r#"[health]
stall_after = "99999d""#,
        r#"agent.toml:2: key `health.stall_after`: "99999d" is too long; write 1s to 7d"#,
    ),
    (
        r#"[health]
scrape_timeout = "8s""#,
        "agent.toml:2: key `health.scrape_timeout`: 8s is longer than scrape_interval, 5s; shorten the timeout: scrapes would pile up",
    ),
    (
        r#"[health]
frozen_after = "6s""#,
        "agent.toml:2: key `health.frozen_after`: frozen_after, 6s, is less than twice scrape_interval, 5s; lengthen the window: a single sample proves nothing",
    ),
    (
        r#"[health]
lag_blocks = "10""#,
        r#"agent.toml:2: key `health.lag_blocks`: "10" is no whole number; write a whole number from 0 to 1000000"#,
    ),
    (
        "[health]
lag_blocks = 1.5",
        "agent.toml:2: key `health.lag_blocks`: 1.5 is no whole number; write a whole number from 0 to 1000000",
    ),
    (
        "[health]
activity_extension = 0",
        "agent.toml:2: key `health.activity_extension`: 0 is out of range; write a whole number from 1 to 100",
    ),
    (
        r#"[health]
activity_bytes = "a lot""#,
        r#"agent.toml:2: key `health.activity_bytes`: "a lot" is no size; write a number and a unit (KiB, MiB, GiB, TiB), such as "2GiB""#,
    ),
    (
        r#"[health]
path = "/var/lib/t0rn""#,
        "agent.toml:2: key `health.path`: unknown key here (did you mean `data.path`?); move or remove it",
    ),
    (
        r#"[restart]
backoff_initial = "10m""#,
        "agent.toml:2: key `restart.backoff_initial`: backoff_initial, 10m, is longer than backoff_max, 5m; shorten the first or lengthen the second",
    ),
    (
        "[restart]
budget = 101",
        "agent.toml:2: key `restart.budget`: 101 is out of range; write a whole number from 0 to 100",
    ),
    (
        r#"[restart]
budget_window = "six hours""#,
        r#"agent.toml:2: key `restart.budget_window`: "six hours" is no duration; write a number and a unit (ms, s, m, h, d), such as "30s" or "1h30m""#,
    ),
    (
        "[host]
disk_warn_percent = 100",
        "agent.toml:2: key `host.disk_warn_percent`: 100 is out of range; write a whole number from 0 to 99",
    ),
    (
        r#"[host]
disk_floor = "-1GiB""#,
        r#"agent.toml:2: key `host.disk_floor`: "-1GiB" is negative; write a positive size"#,
    ),
    (
        r#"[metrics]
listen = "localhost:9733""#,
        r#"agent.toml:2: key `metrics.listen`: "localhost:9733" is no address; write ADDRESS:PORT in numbers, such as "127.0.0.1:9733", or "" to turn it off"#,
    ),
    (
        r#"[metrics]
listen = "0.0.0.0:7001""#,
        "agent.toml:2: key `metrics.listen`: host port 7001 is also metrics.listen; give one of them another port",
    ),
    (
        r#"[notify]
webhook = "secret""#,
        r#"agent.toml:2: key `notify.webhook`: what is there is no URL; write https://HOST/PATH, or "" for none"#,
    ),
    (
        r#"[notify]
format = "irc""#,
        r#"agent.toml:2: key `notify.format`: "irc" is not among the choices; write "json" or "slack" or "discord" or "telegram""#,
    ),
    (
        r#"[notify]
webhook = "https://user:secret@example.org/hook""#,
        r#"agent.toml:2: key `notify.webhook`: a webhook with a user or a password; write https://HOST/PATH, or "" for none"#,
    ),
    (
        r#"[notify]
webhook = "https://api.telegram.org/bot1:AA/sendMessage"
format = "telegram""#,
        "agent.toml:2: key `notify.webhook`: telegram's webhook names no chat_id; write \
         https://api.telegram.org/bot<token>/sendMessage?chat_id=<id>",
    ),
    (
        r#"[notify]
no_collation_after = "30d""#,
        r#"agent.toml:2: key `notify.no_collation_after`: "30d" is too long; write 0s to 7d"#,
    ),
    (
        "[ec2]
enabled = 1",
        r#"agent.toml:2: key `ec2.enabled`: 1 is not among the choices; write "auto" or "true" or "false""#,
    ),
    (
        r#"[ec2]
imds = "ftp://169.254.169.254""#,
        r#"agent.toml:2: key `ec2.imds`: "ftp://169.254.169.254" is no http URL; write http://HOST:PORT/PATH"#,
    ),
    (
        r#"[agent]
socket = "/var/run/docker.sock""#,
        r#"agent.toml:2: key `agent.socket`: agent.socket and agent.docker are both "/var/run/docker.sock"; give the agent a socket of its own"#,
    ),
    (
        r#"[agent]
socket = "/run/@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@/x""#,
        r#"agent.toml:2: key `agent.socket`: "/run/@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@…" has 115 bytes; shorten it: the path of a unix socket has at most 107"#,
    ),
    (
        r#"[heath]
stall_after = "5m""#,
        "agent.toml:1: key `heath`: unknown key (did you mean `health`?); correct or remove it",
    ),
    (
        "colour = true",
        "agent.toml:1: key `colour`: unknown key; remove it: `t0rn-agent config default` lists all that exist",
    ),
    (
        "# nothing but this",
        "agent.toml:1: key `collator.image`: missing; write the image to run, as NAME:TAG or NAME@sha256:…",
    ),
];

#[test]
fn every_broken_configuration_is_answered_with_where_what_and_remedy() {
    for (text, said) in BROKEN {
        let about_the_image = text.contains("[collator") || said.contains("collator.image");
        let image = if about_the_image {
            ""
        } else {
            "\n[collator]\nimage = \"a:1\"\n"
        };
        let result = Config::parse(&format!("{text}{image}"), "agent.toml");
        assert_eq!(
            result.map_or_else(|e| e.to_string(), |_| "valid".to_owned()),
            *said,
            "said of:\n{text}"
        );
    }
}
