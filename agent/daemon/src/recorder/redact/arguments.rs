//! What is secret among the arguments, variables and URLs of the container: all that is not known to be safe.

use url::Url;

use super::names::{is_safe_flag, is_safe_variable, is_secret};

/// Shortest value that is redacted everywhere; shorter ones are `true`, `info`, a port.
const KNOWN_MIN: usize = 8;
/// The same for a value that is secret by its name.
const SECRET_MIN: usize = 4;
/// Shortest part of a URL that counts as a key when it stands alone.
const PART_MIN: usize = 12;

/// One argument, by what of it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    Shown,
    /// Nothing, or its first bytes: `--flag=`.
    Hidden {
        shown: &'a str,
        value: &'a str,
        flag: &'a str,
    },
}

/// Judges the arguments of one command line: flags are shown, values only of known flags.
pub(super) fn judge<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<Argument<'a>> {
    let mut flag = None;
    let judged = words.into_iter().enumerate().map(|(at, word)| {
        let hidden = |shown, value, flag| Argument::Hidden { shown, value, flag };
        if word.starts_with('-') {
            let (name, value) = word
                .split_once('=')
                .map_or((word, None), |(name, value)| (name, Some(value)));
            // `-lsync=debug`: the value of a short flag is attached.
            let is_log = word.starts_with("-l") && !word.starts_with("--");
            flag = Some(name);
            return match value {
                Some(value) if !is_log && !is_safe_flag(name) => hidden(&word[..=name.len()], value, name),
                None if !is_name(name) => {
                    let attached = word.get(2..).filter(|_| !word.starts_with("--"));
                    let shown = attached.map_or("", |value| &word[..word.len() - value.len()]);
                    hidden(shown, attached.unwrap_or(word), "")
                }
                _ => Argument::Shown,
            };
        }
        match flag {
            Some(flag) if is_safe_flag(flag) => Argument::Shown,
            // The program, or its command.
            None if at == 0 && is_program(word) => Argument::Shown,
            flag => hidden("", word, flag.unwrap_or_default()),
        }
    });
    judged.collect()
}

/// Whether a word that begins with a dash is a flag and nothing else, `--` included.
fn is_name(word: &str) -> bool {
    let plain = word
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit());
    let is_log = word.starts_with("-l");
    is_log || (plain && (word.starts_with("--") || word.len() <= 2))
}

fn is_program(word: &str) -> bool {
    word.len() <= 60
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./".contains(&b))
}

/// Values of a command line and of variables that are not known to be safe, to be redacted everywhere: the node may log
/// them. Longest first, since one may be part of another.
pub fn secrets<'a>(command: &[String], variables: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<String> {
    let mut secrets = Vec::new();
    let mut add = |name: &str, value: &str| {
        let is_path = value.starts_with('/') && !is_secret(name);
        let least = if is_secret(name) { SECRET_MIN } else { KNOWN_MIN };
        let is_plain = ["true", "false", "none", "info", "debug"].contains(&value);
        if value.len() >= least && !is_path && !is_plain {
            secrets.push(value.to_owned());
        }
    };
    let words = || command.iter().map(String::as_str);
    for argument in judge(words()) {
        if let Argument::Hidden { value, flag, .. } = argument {
            add(flag, value);
        }
    }
    let variables: Vec<_> = variables.into_iter().collect();
    for (name, value) in &variables {
        if !is_safe_variable(name) {
            add(name, value);
        }
    }
    let values = words().chain(variables.iter().map(|(_, value)| value.as_str()));
    for url in values
        .flat_map(str::split_whitespace)
        .filter(|word| word.contains("://"))
    {
        secrets.extend(url_secrets(url));
    }
    order(&mut secrets);
    secrets
}

/// As [`secrets`], of variables that an image brings: only those that are secret by their name, since the others are
/// versions and paths that logs are read for.
pub fn image_secrets(variables: &[(String, String)]) -> Vec<String> {
    let telling = variables.iter().filter(|(name, _)| is_secret(name));
    secrets(&[], telling.map(|(name, value)| (name, value)))
}

/// What of a URL is secret when it stands alone: user and password, path and query, and parts of them that look like
/// keys.
pub fn url_secrets(text: &str) -> Vec<String> {
    let text = match text.split_once('=') {
        Some((flag, url)) if !flag.contains("://") => url,
        _ => text,
    };
    let Ok(url) = Url::parse(text) else {
        return Vec::new();
    };
    let is_key = |part: &str| part.len() >= PART_MIN && part.bytes().any(|b| b.is_ascii_digit());
    let mut parts: Vec<String> = url.path().split('/').map(str::to_owned).collect();
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    parts.push(url[url::Position::BeforePath..].trim_start_matches('/').to_owned());
    parts.retain(|part| is_key(part));
    let users = [Some(url.username()), url.password()].into_iter().flatten();
    parts.extend(users.filter(|user| user.len() >= SECRET_MIN).map(str::to_owned));
    parts
}

/// Longest first, each once.
pub(super) fn order(secrets: &mut Vec<String>) {
    secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    secrets.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let words: Vec<_> = line.split(' ').collect();
        let judged = judge(words.iter().copied()).into_iter().zip(&words);
        let text = judged.map(|(argument, word)| match argument {
            Argument::Shown => (*word).to_owned(),
            Argument::Hidden { shown, .. } => format!("{shown}?"),
        });
        text.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn flags_are_shown_and_values_of_known_flags_only() {
        for (from, to) in [
            (
                "--collator --name me --base-path /node/data --node-key 00aa -- --chain /spec --sync warp",
                "--collator --name me --base-path /node/data --node-key ? -- --chain /spec --sync warp",
            ),
            (
                "--port=30333 --node-key=00aa --made-up=x",
                "--port=30333 --node-key=? --made-up=?",
            ),
            (
                "--bootnodes /dns/a /dns/b --rpc-external",
                "--bootnodes /dns/a /dns/b --rpc-external",
            ),
            ("/usr/bin/node key insert --suri //Alice", "/usr/bin/node ? ? --suri ?"),
            ("sh -c SECRET=x", "sh -c ?"),
            ("-lsync=debug -l info -pS3cret", "-lsync=debug -l info -p?"),
            (
                "--node-key-file /keys/node --password-file=/x",
                "--node-key-file /keys/node --password-file=/x",
            ),
        ] {
            assert_eq!(shown(from), to);
        }
    }

    #[test]
    fn values_that_are_not_known_to_be_safe_are_secrets() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let command = words(
            "--chain spec.json --node-key 00aa11bb22 --password=correct-horse --made-up twenty-one --token-file /x/y/z \
             --relay-chain-rpc-urls wss://rpc.example/v3/0a1b2c3d4e5f --telemetry-url=wss://x/?k=9f8e7d6c5b4a",
        );
        let variables = [
            ("RUST_LOG", "information"),
            ("DB_PASS", "abc123"),
            ("OTHER", "something"),
            ("SHORT", "1234567"),
            ("DATA", "/node/data"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let known = secrets(&command, variables.iter().map(|(name, value)| (name, value)));
        assert_eq!(
            known,
            [
                "?k=9f8e7d6c5b4a",
                "v3/0a1b2c3d4e5f",
                "correct-horse",
                "0a1b2c3d4e5f",
                "9f8e7d6c5b4a",
                "00aa11bb22",
                "twenty-one",
                "something",
                "abc123",
            ]
        );
    }
}
