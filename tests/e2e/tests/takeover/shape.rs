//! A container as an operator ran it, taken over with the configuration that `init` makes of it, and given back.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, binary, starts_on};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{LATER, SOON, run, until, until_value};
use toml::Table;

use crate::world::World;

/// Arguments of a collator with its exporters on the ports that the published ones lead to.
pub(crate) const NODE: &str = "--collator --base-path /node/data --prometheus-port 7001 --prometheus-external \
                    -- --prometheus-port 9616 --prometheus-external";
pub(crate) const PORTS: &str =
    "-p 127.0.0.1:{parachain}:7001 -p 127.0.0.1:{relaychain}:9616 -p 127.0.0.1:{control}:7999";
pub(crate) const DATA: &str = "-v {dir}/data:/node/data";
/// Blocks that come several times within every window of the test.
const BLOCKS: &str = "--sim-block-time 500 --sim-relay-block-time 500";

/// A container as it was run. In its texts stand `{name}`, `{dir}` (a directory of its own), `{image}`, and the host's free
/// ports `{parachain}`, `{relaychain}` and `{control}`.
pub(crate) struct Shape<'a> {
    /// Docker's commands before it: networks, volumes, other containers.
    pub(crate) before: &'a [&'a str],
    /// After `docker run -d --name {name}`: options; `{image}` and the arguments follow.
    pub(crate) options: String,
    pub(crate) image: &'a str,
    pub(crate) node: String,
    /// The chain's data on the host.
    pub(crate) data: &'a str,
    pub(crate) owner: u32,
    /// Parts of what `init` says.
    pub(crate) said: &'a [&'a str],
    /// Parts of what `takeover` prints.
    pub(crate) printed: &'a [&'a str],
    /// Docker's commands after it, whatever became of it.
    pub(crate) after: &'a [&'a str],
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Self {
            before: &[],
            options: format!("{DATA} {PORTS}"),
            image: "{image}",
            node: NODE.to_owned(),
            data: "{dir}/data",
            owner: 1000,
            said: &[],
            printed: &[],
            after: &[],
        }
    }
}

/// What takes the place of the words in braces.
struct Places<'a> {
    world: &'a World<'a>,
    dir: &'a Path,
    image: &'a str,
}

impl Places<'_> {
    fn fill(&self, text: &str) -> String {
        let [parachain, relaychain, control] = self.world.agent.collator_ports().map(|port| port.to_string());
        text.replace("{name}", &self.world.name)
            .replace("{dir}", &self.dir.display().to_string())
            .replace("{image}", self.image)
            .replace("{parachain}", &parachain)
            .replace("{relaychain}", &relaychain)
            .replace("{control}", &control)
    }

    fn docker(&self, text: &str) -> Result<String> {
        let text = self.fill(text);
        self.world.agent.engine().docker(text.split_whitespace())
    }
}

impl Shape<'_> {
    pub(crate) fn goes_there_and_back(&self, name: &str) -> Result<()> {
        let engine = Engine::shared()?;
        let agent = Agent::new(&engine, name, &[])?;
        let dir = agent.data().parent().context("no parent")?.to_owned();
        let mut world = World {
            name: agent.container().to_owned(),
            agent,
        };
        fs::create_dir(dir.join("data"))?;
        chown(dir.join("data"), Some(self.owner), Some(self.owner))?;
        symlink("data", dir.join("link"))?;
        fs::create_dir_all(dir.join("keys/keystore"))?;
        chown(dir.join("keys/keystore"), Some(1000), Some(1000))?;
        fs::write(dir.join("node-key"), "0123")?;
        fs::write(dir.join("env"), "# A comment.\nSEED=bottom drive obey\nRUST_LOG=info\n")?;
        let image = sim_image::sim(&engine)?;
        let taken = self.take_over(&mut world, &dir, &image);
        let places = Places {
            world: &world,
            dir: &dir,
            image: &image,
        };
        for container in [world.name.clone(), world.kept()] {
            let _ = engine.try_docker(["rm", "-fv", &container]);
        }
        for command in self.after {
            places.docker(command)?;
        }
        taken
    }

    fn take_over(&self, world: &mut World<'_>, dir: &Path, image: &str) -> Result<()> {
        let (before, data) = {
            let places = Places { world, dir, image };
            for command in self.before {
                places.docker(command)?;
            }
            let (options, node) = (&self.options, &self.node);
            places.docker(&format!(
                "run -d --name {{name}} {options} {} {node} {BLOCKS}",
                self.image
            ))?;
            until_value("some blocks", SOON, || world.agent.sim().best(), |best| *best > 20)?;
            let file = dir.join("made.toml");
            self.init(world, &file)?;
            (world.inspect(&world.name)?, places.fill(self.data))
        };
        let made: Table = fs::read_to_string(dir.join("made.toml"))?.parse()?;
        for (key, value) in made.into_iter().filter(|(key, _)| key != "agent" && key != "metrics") {
            world.agent.set(&key, value)?;
        }
        ensure!(
            ids(&before)? == ids(&world.inspect(&world.name)?)?,
            "init has touched it"
        );
        let height = world.agent.sim().best()?;
        world.agent.start()?;
        until("the agent to answer", SOON, || world.agent.status())?;
        world.agent.ok(["check"])?;
        let ids_before = ids(&before)?;

        let said = takeover(world, &[])?;
        ensure!(
            said.contains("exit code 0") && said.contains("blocks arrive: "),
            "{said}"
        );
        for part in self.printed {
            let part = part.replace("{name}", &world.name);
            ensure!(said.contains(&part), "no {part}: {said}");
        }
        world.ensure_exchanged()?;
        let ours = world.agent.inspect()?.context("no container")?;
        ensure_has_all_of(&ours, &before)?;
        ensure!(ids(&ours)? == ids_before, "it runs as another user: {}", ids(&ours)?);
        ensure!(world.agent.sim().best()? >= height, "the data was lost");
        world.agent.wait_watched()?;
        ensure!(starts_on(Path::new(&data))? == 2, "more than one restart");

        let said = takeover(world, &["--undo"])?;
        ensure!(said.ends_with(&format!("{} runs as before\n", world.name)), "{said}");
        let after = world.inspect(&world.name)?;
        ensure_same(&before, &after)?;
        ensure!(ids(&after)? == ids_before, "it runs as another user: {}", ids(&after)?);
        ensure!(starts_on(Path::new(&data))? == 3, "more than one restart");
        let height = world.agent.sim().best().unwrap_or(0);
        until_value("more blocks", SOON, || world.agent.sim().best(), |best| *best > height)?;
        Ok(())
    }

    fn init(&self, world: &World<'_>, file: &Path) -> Result<()> {
        let mut command = Command::new(binary()?);
        command.args(["init", "--from-container", &world.name, "--docker"]);
        command.arg(world.agent.engine().socket()).arg("--output").arg(file);
        let output = run(30, &mut command)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{output:?}");
        ensure!(!said.contains("\n!") && !said.starts_with('!'), "{said}");
        for part in self.said {
            ensure!(said.contains(part), "no {part}: {said}");
        }
        Ok(())
    }
}

/// `takeover`, which has to succeed. Returns what it prints.
fn takeover(world: &World<'_>, more: &[&str]) -> Result<String> {
    let mut command = Command::new(binary()?);
    command.args(["takeover", &world.name, "--yes"]).args(more);
    command
        .env("T0RN_AGENT_SOCKET", world.agent.socket())
        .env("T0RN_AGENT_CONFIG", world.agent.config_file());
    let output = run(u32::try_from(LATER.as_secs())?, &mut command)?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// User and group of a container's first process.
fn ids(inspected: &Value) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", inspected["State"]["Pid"]))?;
    let ids = status
        .lines()
        .filter(|line| line.starts_with("Uid:") || line.starts_with("Gid:"));
    Ok(ids.collect::<Vec<_>>().join(" "))
}

/// Texts of a list in an inspection.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn mounts(inspected: &Value) -> BTreeSet<(&str, &str, bool)> {
    let mounts = inspected["Mounts"].as_array().into_iter().flatten();
    let mounts = mounts.filter(|mount| mount["Type"] != "tmpfs");
    let text = |value: &'_ Value| value.as_str().map(str::len);
    mounts
        .filter_map(|mount| {
            text(&mount["Source"])?;
            Some((
                mount["Source"].as_str()?,
                mount["Destination"].as_str()?,
                mount["RW"].as_bool()?,
            ))
        })
        .collect()
}

/// Fails unless the agent's container does what the operator's did: the same program, data, variables, network and limits.
fn ensure_has_all_of(ours: &Value, theirs: &Value) -> Result<()> {
    let (own, wanted) = (mounts(ours), mounts(theirs));
    ensure!(own.is_superset(&wanted), "mounts {own:?}, wanted {wanted:?}");
    let variables = |of: &'_ Value| {
        texts(&of["Config"]["Env"])
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    ensure!(
        variables(ours).is_superset(&variables(theirs)),
        "{}",
        ours["Config"]["Env"]
    );
    let mut words = texts(&ours["Args"]).into_iter();
    for word in texts(&theirs["Args"]) {
        ensure!(words.any(|own| own == word), "no {word} in its place: {}", ours["Args"]);
    }
    ensure!(
        ours["Path"] == theirs["Path"] && ours["Image"] == theirs["Image"],
        "{ours}"
    );
    let (own, wanted) = (&ours["HostConfig"], &theirs["HostConfig"]);
    let network = |host: &Value| {
        host["NetworkMode"]
            .as_str()
            .unwrap_or_default()
            .replace("default", "bridge")
    };
    ensure!(network(own) == network(wanted), "{}", own["NetworkMode"]);
    for key in ["Memory", "ReadonlyRootfs"] {
        ensure!(own[key] == wanted[key], "{key}: {}, wanted {}", own[key], wanted[key]);
    }
    for (port, bindings) in wanted["PortBindings"].as_object().into_iter().flatten() {
        let is_chosen = bindings[0]["HostPort"]
            .as_str()
            .is_none_or(|port| port.is_empty() || port == "0");
        ensure!(
            is_chosen || own["PortBindings"][port] == *bindings,
            "{port}: {}",
            own["PortBindings"]
        );
    }
    Ok(())
}

/// Fails unless the operator's container is as it was, and runs.
fn ensure_same(before: &Value, after: &Value) -> Result<()> {
    ensure!(after["State"]["Running"] == true, "{}", after["State"]);
    for part in ["Id", "Name", "Config", "HostConfig"] {
        ensure!(
            before[part] == after[part],
            "{part}: {} was {}",
            after[part],
            before[part]
        );
    }
    ensure!(mounts(before) == mounts(after), "{}", after["Mounts"]);
    let networks = |of: &Value| {
        let networks = of["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        networks
            .map(|(name, network)| (name.clone(), network["Aliases"].clone()))
            .collect::<Vec<_>>()
    };
    ensure!(networks(before) == networks(after), "{}", after["NetworkSettings"]);
    Ok(())
}
