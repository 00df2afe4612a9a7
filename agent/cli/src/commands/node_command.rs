//! What the arguments of a Polkadot-SDK node say: two sides around `--`, flags with and without values.

use std::path::PathBuf;

/// Flags that only a parachain's node knows.
const PARACHAIN: [&str; 4] = [
    "--collator",
    "--relay-chain-rpc-urls",
    "--relay-chain-rpc-url",
    "--parachain-id",
];

/// The arguments of a node, for reading: what is before `--`, and what is after it.
#[derive(Debug)]
pub(crate) struct NodeCommand {
    main: Vec<String>,
    relay: Option<Vec<String>>,
    /// Whether the arguments are a line for a shell, so that none can be added.
    pub(crate) is_shell_line: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Main,
    Relay,
}

impl NodeCommand {
    pub(crate) fn parse(arguments: &[String]) -> Self {
        let is_line = |argument: &String| argument.contains(' ') && argument.contains("--");
        let is_shell_line = arguments.iter().any(is_line);
        let words: Vec<String> = if is_shell_line {
            let split = |argument: &String| shlex::split(argument).unwrap_or_default();
            arguments.iter().flat_map(split).collect()
        } else {
            arguments.to_vec()
        };
        Self {
            is_shell_line,
            ..Self::of_words(&words)
        }
    }

    /// Without a look into lines for a shell.
    pub(crate) fn of_words(words: &[String]) -> Self {
        let mut sides = words.splitn(2, |word| word == "--").map(<[String]>::to_vec);
        Self {
            main: sides.next().unwrap_or_default(),
            relay: sides.next(),
            is_shell_line: false,
        }
    }

    fn words(&self, side: Side) -> &[String] {
        match side {
            Side::Main => &self.main,
            Side::Relay => self.relay.as_deref().unwrap_or_default(),
        }
    }

    pub(crate) fn has_relay_side(&self) -> bool {
        self.relay.is_some()
    }

    pub(crate) fn has(&self, side: Side, flag: &str) -> bool {
        self.words(side).iter().any(|word| name_of(word) == flag)
    }

    /// Value of the last of these flags, as `--flag value` or `--flag=value`.
    pub(crate) fn value(&self, side: Side, flags: &[&str]) -> Option<&str> {
        let words = self.words(side);
        let at = words.iter().rposition(|word| flags.contains(&name_of(word)))?;
        match words[at].split_once('=') {
            Some((_, value)) => Some(value),
            None => words
                .get(at + 1)
                .map(String::as_str)
                .filter(|value| !value.starts_with("--")),
        }
    }

    fn path(&self, side: Side, flags: &[&str]) -> Option<PathBuf> {
        self.value(side, flags).map(PathBuf::from)
    }

    pub(crate) fn base_path(&self) -> Option<PathBuf> {
        self.path(Side::Main, &["--base-path", "-d"])
    }

    /// Flags that name keys or a keystore, with the path of each, of both sides.
    pub(crate) fn key_paths(&self) -> Vec<(&'static str, PathBuf)> {
        let flags = ["--keystore-path", "--node-key-file", "--password-filename"];
        let of = |side| {
            flags
                .into_iter()
                .filter_map(move |flag| Some((flag, self.path(side, &[flag])?)))
        };
        of(Side::Main).chain(of(Side::Relay)).collect()
    }

    /// Whether a key itself stands in the arguments, where every user of the host can read it.
    pub(crate) fn key_flag(&self) -> Option<&'static str> {
        let flags = ["--node-key", "--password"];
        flags
            .into_iter()
            .find(|flag| self.has(Side::Main, flag) || self.has(Side::Relay, flag))
    }

    pub(crate) fn is_parachain(&self) -> bool {
        self.has_relay_side() || PARACHAIN.iter().any(|flag| self.has(Side::Main, flag))
    }

    pub(crate) fn is_by_rpc(&self) -> bool {
        PARACHAIN[1..3].iter().any(|flag| self.has(Side::Main, flag))
    }

    /// Port of a side's exporter, which has the node's default where no flag gives one.
    pub(crate) fn prometheus_port(&self, side: Side) -> u16 {
        let given = self
            .value(side, &["--prometheus-port"])
            .and_then(|port| port.parse().ok());
        given.unwrap_or(match side {
            Side::Main => 9615,
            Side::Relay => 9616,
        })
    }
}

fn name_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// Adds a flag to one side of the arguments.
pub(crate) fn add_flag(arguments: &mut Vec<String>, side: Side, flag: &str) {
    let end = arguments
        .iter()
        .position(|word| word == "--")
        .unwrap_or(arguments.len());
    match side {
        Side::Main => arguments.insert(end, flag.to_owned()),
        Side::Relay => arguments.push(flag.to_owned()),
    }
}

/// Removes a flag without value from one side of the arguments.
pub(crate) fn remove_flag(arguments: &mut Vec<String>, side: Side, flag: &str) {
    let end = arguments
        .iter()
        .position(|word| word == "--")
        .unwrap_or(arguments.len());
    let mut at = 0..;
    arguments.retain(|word| {
        let is_main = at.next().is_some_and(|at: usize| at < end);
        word != flag || is_main != (side == Side::Main)
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_are_read_on_their_side_in_both_notations() {
        let line = "--collator --base-path=/d --prometheus-port 1 --node-key-file /k -- --prometheus-port=2 --keystore-path /r";
        let node = NodeCommand::parse(&words(line));
        assert_eq!(node.base_path().as_deref(), Some(Path::new("/d")));
        assert_eq!(
            (node.prometheus_port(Side::Main), node.prometheus_port(Side::Relay)),
            (1, 2)
        );
        let keys = [("--node-key-file", "/k".into()), ("--keystore-path", "/r".into())];
        assert_eq!(node.key_paths(), keys);
        assert!(node.is_parachain() && !node.is_by_rpc() && !node.is_shell_line);
    }

    #[test]
    fn line_for_a_shell_is_read_as_the_shell_would() {
        let line = "exec node --collator --name 'a b' -- --prometheus-port 9000";
        let node = NodeCommand::parse(&["-c".to_owned(), line.to_owned()]);
        assert!(node.is_shell_line && node.has(Side::Main, "--collator"));
        assert_eq!(node.prometheus_port(Side::Relay), 9000);
        // A value with blanks is no line.
        assert!(!NodeCommand::parse(&["--telemetry-url".to_owned(), "wss://x 1".to_owned()]).is_shell_line);
    }

    #[test]
    fn flag_is_added_to_and_removed_from_its_side_alone() {
        let mut arguments = words("--no-prometheus -- --no-prometheus");
        add_flag(&mut arguments, Side::Main, "--a");
        add_flag(&mut arguments, Side::Relay, "--b");
        remove_flag(&mut arguments, Side::Relay, "--no-prometheus");
        assert_eq!(arguments.join(" "), "--no-prometheus --a -- --b");
        remove_flag(&mut arguments, Side::Main, "--no-prometheus");
        assert_eq!(arguments.join(" "), "--a -- --b");
    }
}
