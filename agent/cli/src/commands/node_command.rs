//! What the arguments of a Polkadot-SDK node say: two sides around `--`, flags with and without values.

use std::path::{Path, PathBuf};

/// Flags that only a parachain's node knows.
const PARACHAIN: [&str; 4] = [
    "--collator",
    "--relay-chain-rpc-urls",
    "--relay-chain-rpc-url",
    "--parachain-id",
];

/// Programs that begin as the first process and run another one, whose command line follows their own `--`.
const INITS: [&str; 4] = ["tini", "docker-init", "dumb-init", "catatonit"];

/// The arguments of a node, for reading: what is before `--`, and what is after it.
#[derive(Debug)]
pub(crate) struct NodeCommand {
    main: Vec<String>,
    relay: Option<Vec<String>>,
    /// Where relative paths begin.
    dir: PathBuf,
    /// Whether the arguments are a line for a shell, so that none can be added.
    pub(crate) is_shell_line: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Main,
    Relay,
}

impl NodeCommand {
    /// Of a command line that runs in `dir`, with its program; one for a shell is read as the shell would.
    pub(crate) fn parse(words: &[String], dir: &Path) -> Self {
        let line = shell_line(words).and_then(|at| Some((at, shlex::split(&words[at])?)));
        let is_shell_line = line.is_some();
        let words = match line {
            Some((at, line)) => [&words[..at], &line].concat(),
            None => words.to_vec(),
        };
        Self {
            is_shell_line,
            dir: dir.to_owned(),
            ..Self::of_words(&words)
        }
    }

    /// Without a look into lines for a shell, and with relative paths as they are.
    pub(crate) fn of_words(words: &[String]) -> Self {
        let words = &words[begin(words)..];
        let mut sides = words.splitn(2, |word| word == "--").map(<[String]>::to_vec);
        Self {
            main: sides.next().unwrap_or_default(),
            relay: sides.next(),
            dir: PathBuf::new(),
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
        self.value(side, flags).map(|path| self.dir.join(path))
    }

    pub(crate) fn base_path(&self) -> Option<PathBuf> {
        self.path(Side::Main, &["--base-path", "-d"])
    }

    /// Flags of both sides whose path begins in the working directory.
    pub(crate) fn relative_paths(&self) -> Vec<&'static str> {
        let flags = [
            "--base-path",
            "-d",
            "--keystore-path",
            "--node-key-file",
            "--password-filename",
        ];
        let is_relative = |flag: &&str| {
            let values = [Side::Main, Side::Relay].map(|side| self.value(side, &[flag]));
            values.into_iter().flatten().any(|path| Path::new(path).is_relative())
        };
        flags.into_iter().filter(is_relative).collect()
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

/// Where the command line of the node begins: behind an init and its `--`.
fn begin(words: &[String]) -> usize {
    let name = |word: &String| word.rsplit('/').next().map(str::to_owned);
    let is_init = words.first().and_then(name).is_some_and(|name| INITS.contains(&&*name));
    let end = words.iter().position(|word| word == "--").filter(|_| is_init);
    end.map_or(0, |end| end + 1)
}

/// Which of the words is a line for a shell: the one after `-c`, alone or among other flags of one letter.
fn shell_line(words: &[String]) -> Option<usize> {
    let is_flag = |word: &String| {
        let letters = word.strip_prefix('-').unwrap_or_default();
        letters.ends_with('c') && letters.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let is_line = |at: &usize| is_flag(&words[at - 1]) && words[*at].contains(' ');
    (1..words.len()).find(is_line)
}

/// The arguments of a command line that can be changed: those after its program, which is the entrypoint.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    pub(crate) program: &'a [String],
    pub(crate) words: &'a mut Vec<String>,
}

impl Arguments<'_> {
    /// Where the node's own begin, and where those of its main side end.
    fn main(&self) -> (usize, usize) {
        let all = [self.program, self.words].concat();
        let begin = begin(&all).saturating_sub(self.program.len());
        let separator = self.words[begin..].iter().position(|word| word == "--");
        (begin, separator.map_or(self.words.len(), |at| begin + at))
    }

    /// Adds a flag to one side.
    pub(crate) fn add(&mut self, side: Side, flag: &str) {
        let at = match side {
            Side::Main => self.main().1,
            Side::Relay => self.words.len(),
        };
        self.words.insert(at, flag.to_owned());
    }

    /// Removes a flag without value from one side.
    pub(crate) fn remove(&mut self, side: Side, flag: &str) {
        let (begin, end) = self.main();
        let mut at = 0..;
        self.words.retain(|word| {
            let is_main = at.next().is_some_and(|at: usize| (begin..end).contains(&at));
            word != flag || is_main != (side == Side::Main)
        });
    }
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
        let node = NodeCommand::parse(&words(line), Path::new("/"));
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
        for words in [
            &["-c", line][..],
            &["/bin/sh", "-ec", line],
            &["/usr/bin/tini", "--", "bash", "-c", line],
        ] {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            let node = NodeCommand::parse(&words, Path::new("/"));
            assert!(node.is_shell_line && node.has(Side::Main, "--collator"), "{words:?}");
            assert_eq!(node.prometheus_port(Side::Relay), 9000);
        }
        // A value with blanks is no line.
        for value in ["wss://x 1", "a --collator"] {
            let words = ["--telemetry-url".to_owned(), value.to_owned()];
            assert!(!NodeCommand::parse(&words, Path::new("/")).is_shell_line, "{value}");
        }
    }

    #[test]
    fn node_behind_an_init_is_read_and_changed_on_its_own_sides() {
        let line = words("/sbin/tini -s -- node --collator --base-path data -- --prometheus-port 2");
        let node = NodeCommand::parse(&line, Path::new("/node"));
        assert_eq!(node.base_path().as_deref(), Some(Path::new("/node/data")));
        assert_eq!(node.prometheus_port(Side::Relay), 2);
        for program in 0..4 {
            let mut rest = line[program..].to_vec();
            let mut arguments = Arguments {
                program: &line[..program],
                words: &mut rest,
            };
            arguments.add(Side::Main, "--a");
            arguments.add(Side::Relay, "--b");
            assert!(
                rest.join(" ").ends_with("data --a -- --prometheus-port 2 --b"),
                "{program}: {rest:?}"
            );
        }
    }

    #[test]
    fn flag_is_added_to_and_removed_from_its_side_alone() {
        let mut rest = words("--no-prometheus -- --no-prometheus");
        let mut arguments = Arguments {
            program: &[],
            words: &mut rest,
        };
        arguments.add(Side::Main, "--a");
        arguments.add(Side::Relay, "--b");
        arguments.remove(Side::Relay, "--no-prometheus");
        assert_eq!(rest.join(" "), "--no-prometheus --a -- --b");
        let mut arguments = Arguments {
            program: &[],
            words: &mut rest,
        };
        arguments.remove(Side::Main, "--no-prometheus");
        assert_eq!(rest.join(" "), "--a -- --b");
    }
}
