//! The command line: the node's own, of which only what matters here is read, and the `--sim-…` flags.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::control::ScheduledCommand;

/// What `--help` prints.
pub const HELP: &str = "\
A simulated collator: the exporters, the log and the files of a node, without a chain.

Of the node's own arguments it reads --base-path, --name, --collator and --prometheus-port, the last also
after --, for the relay chain. Others are accepted and ignored. Its own, which stand anywhere:

  --sim-target N              height of the parachain's network at the first start (5000)
  --sim-speed N               blocks per second while behind (500)
  --sim-block-time MS         time between blocks (6000)
  --sim-relay-target N, --sim-relay-speed N, --sim-relay-block-time MS
                              the same of the relay chain (20000, 2000, 6000)
  --sim-relay-first           the parachain begins when the relay chain is synced
  --sim-peers N               number of peers (8)
  --sim-prefix NAME           prefix of the metrics (substrate)
  --sim-start-delay MS        time until it does anything (0)
  --sim-stop-delay MS         time from SIGTERM to its end (300)
  --sim-control-port N        port for commands (7999)
  --sim-db-version N          version in the parachain's database
  --sim-fault FAULT           stall, or {\"do\": \"stall\", \"after_seconds\": 5, \"once\": true}; may be repeated
";

#[derive(Debug, Clone)]
pub struct Args {
    pub base_path: PathBuf,
    pub name: String,
    pub collator: bool,
    /// Exporter ports: parachain, relay chain.
    pub ports: [u16; 2],
    /// Parachain, relay chain.
    pub chains: [ChainArgs; 2],
    pub relay_first: bool,
    pub peers: u64,
    pub prefix: String,
    pub start_delay: Duration,
    pub stop_delay: Duration,
    pub control_port: u16,
    /// Written into the parachain's database as its version.
    pub db_version: Option<u32>,
    pub faults: Vec<ScheduledCommand>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChainArgs {
    /// Height of the network at the first start.
    pub target: u64,
    /// Blocks per second while behind.
    pub speed: f64,
    pub block_time: Duration,
}

impl Default for Args {
    fn default() -> Self {
        let block_time = Duration::from_secs(6);
        Self {
            base_path: PathBuf::from("data"),
            name: "simulated".to_owned(),
            collator: false,
            ports: [7001, 9616],
            chains: [
                ChainArgs {
                    target: 5_000,
                    speed: 500.0,
                    block_time,
                },
                ChainArgs {
                    target: 20_000,
                    speed: 2_000.0,
                    block_time,
                },
            ],
            relay_first: false,
            peers: 8,
            prefix: "substrate".to_owned(),
            start_delay: Duration::ZERO,
            stop_delay: Duration::from_millis(300),
            control_port: 7999,
            db_version: None,
            faults: Vec::new(),
        }
    }
}

impl Args {
    /// Reads a command line without the program's name.
    ///
    /// # Errors
    /// An unknown `--sim-…` flag or a value that does not parse, worded as the node's own parser words it.
    pub fn parse(line: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut relay_side = false;
        let mut words = line.into_iter().peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                relay_side = true;
                continue;
            }
            let (flag, inline) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            match flag.as_str() {
                "--collator" | "--validator" => args.collator = true,
                "--sim-relay-first" => args.relay_first = true,
                "--name" | "--base-path" | "--prometheus-port" => {
                    let value = inline.or_else(|| words.next()).ok_or_else(|| missing(&flag))?;
                    match flag.as_str() {
                        "--name" => args.name = value,
                        "--base-path" if !relay_side => args.base_path = PathBuf::from(value),
                        "--prometheus-port" => {
                            args.ports[usize::from(relay_side)] = number(&flag, &value)?;
                        }
                        _ => {}
                    }
                }
                _ if flag.starts_with("--sim-") => {
                    let value = inline.or_else(|| words.next()).ok_or_else(|| missing(&flag))?;
                    args.set(&flag, &value)?;
                }
                // A flag of the node: its value, if it has one, is skipped as a word of its own.
                _ => {}
            }
        }
        Ok(args)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let millis = |value| number(flag, value).map(Duration::from_millis);
        let [parachain, relaychain] = &mut self.chains;
        match flag {
            "--sim-target" => parachain.target = number(flag, value)?,
            "--sim-speed" => parachain.speed = number(flag, value)?,
            "--sim-block-time" => parachain.block_time = millis(value)?,
            "--sim-relay-target" => relaychain.target = number(flag, value)?,
            "--sim-relay-speed" => relaychain.speed = number(flag, value)?,
            "--sim-relay-block-time" => relaychain.block_time = millis(value)?,
            "--sim-peers" => self.peers = number(flag, value)?,
            "--sim-prefix" => value.clone_into(&mut self.prefix),
            "--sim-start-delay" => self.start_delay = millis(value)?,
            "--sim-stop-delay" => self.stop_delay = millis(value)?,
            "--sim-control-port" => self.control_port = number(flag, value)?,
            "--sim-db-version" => self.db_version = Some(number(flag, value)?),
            "--sim-fault" => self
                .faults
                .push(ScheduledCommand::parse(value).map_err(|e| format!("{flag}: {e}"))?),
            _ => return Err(format!("unexpected argument '{flag}' found")),
        }
        Ok(())
    }
}

fn missing(flag: &str) -> String {
    format!("a value is required for '{flag}' but none was supplied")
}

fn number<T: FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("invalid value '{value}' for '{flag}'"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::sim::control::Command;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_real_command_line_is_understood() {
        let args = parse(
            "--collator --name me --base-path /node/data --chain /node/specs/t0rn.raw.json --bootnodes /dns/b/tcp/1/p2p/x \
             --port 33333 --rpc-port 8833 --prometheus-port 7101 --ws-port 9933 --execution Wasm --pruning=archive \
             -- --chain /node/specs/rococo.raw.json --port 10001 --prometheus-port=9716 --execution Wasm",
        )
        .unwrap();
        assert_eq!(
            (args.ports, args.collator, args.name.as_str()),
            ([7101, 9716], true, "me")
        );
        assert_eq!(args.base_path, PathBuf::from("/node/data"));
    }

    #[test]
    fn help_names_every_flag_of_its_own() {
        let flags = HELP.split_whitespace().filter(|word| word.starts_with("--sim-"));
        for flag in flags {
            let parsed = parse(&format!("{} 7", flag.trim_end_matches(',')));
            assert!(
                !parsed.is_err_and(|error| error.starts_with("unexpected argument")),
                "{flag}"
            );
        }
    }

    #[test]
    fn own_flags_work_on_either_side() {
        let args = parse("--sim-speed 2.5 -- --sim-block-time=100 --sim-fault stall").unwrap();
        assert!((args.chains[0].speed - 2.5).abs() < f64::EPSILON);
        assert_eq!(args.chains[0].block_time, Duration::from_millis(100));
        assert!(matches!(args.faults[0].command, Command::Stall { .. }));
    }

    #[test]
    fn a_bad_flag_of_its_own_is_refused() {
        assert_eq!(
            parse("--sim-sped 1").unwrap_err(),
            "unexpected argument '--sim-sped' found"
        );
        assert_eq!(
            parse("--sim-speed fast").unwrap_err(),
            "invalid value 'fast' for '--sim-speed'"
        );
        assert!(parse("--sim-fault explode").unwrap_err().starts_with("--sim-fault: "));
    }
}
