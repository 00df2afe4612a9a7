//! What is planted, and the forms in which it must not come out.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk abandon ability able about \
                     absent absorb abstract absurd abuse access accident account";

/// Variables of the container, and of its image.
pub(crate) const VARIABLES: [(&str, &str); 10] = [
    ("DB_PASS", "p4ss-of-the-database"),
    ("SIGNING_KEY", "signing-key-01"),
    ("SESSION_COOKIE", "session-cookie-02"),
    ("API_CREDENTIALS", "credential-03"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("GITHUB_TOKEN", "token-of-hub-05"),
    ("NODE_SEED", "//Stash//seed-06"),
    ("MOTTO", "a motto of \"many\" words"),
    ("DSN", "postgres://dsn-user-08:dsn-pass-08@db.example/x"),
    ("LICENSE", "license?of=the&node/09"),
];
pub(crate) const OF_IMAGE: (&str, &str) = ("IMAGE_TOKEN", "token-of-the-image-10");

/// Arguments of the node, which the simulated one passes over.
pub(crate) const ARGUMENTS: [(&str, &str); 7] = [
    ("--node-key 00aa11bb22cc33dd44ee", "00aa11bb22cc33dd44ee"),
    ("--password=correct-horse-11", "correct-horse-11"),
    ("--suri //Charlie//12", "//Charlie//12"),
    ("--made-up made-up-13", "made-up-13"),
    (
        "--relay-chain-rpc-urls wss://rpc.example/v3/0a1b2c3d4e5f6071",
        "0a1b2c3d4e5f6071",
    ),
    (
        "--telemetry-url wss://t.example/submit?k=9f8e7d6c5b4a3921",
        "9f8e7d6c5b4a3921",
    ),
    ("-pattached-14", "attached-14"),
];

/// Of `registry_auth`: user and password, and an identity token.
pub(crate) const LOGIN: (&str, &str) = ("hub-user", "hub-password-15");
pub(crate) const IDENTITY_TOKEN: &str = "identity-token-16";
/// Parts of URLs of the configuration.
pub(crate) const WEBHOOK: [&str; 2] = ["webhook-path-17-b4c5", "webhook-query-18"];
pub(crate) const REFERENCE: [&str; 2] = ["reference-query-19", "reference-path-20-d6e7"];
/// In files of the data directory.
const FILES: [(&str, &str); 4] = [
    (
        "chains/t0rn_testnet/keystore/61757261aa",
        "\"file bottom drive obey 21\"",
    ),
    ("chains/t0rn_testnet/network/secret_ed25519", "secret-of-the-network-22"),
    ("polkadot/chains/rococo_v2_2/keystore/6772616eaa", "relay-keystore-23"),
    ("chains/t0rn_testnet/keystore/.env", "SEED=dot-env-24"),
];

/// Lines of the node's log, and what is secret in each.
fn lines() -> Vec<(String, String)> {
    let words = |count: usize| WORDS.split_whitespace().take(count).collect::<Vec<_>>();
    let mnemonic = |count: usize| {
        let words = words(count);
        (format!("loaded {}.", words.join(" ")), words[count - 3..].join(" "))
    };
    let mut all: Vec<_> = [12, 15, 18, 21, 24].map(mnemonic).to_vec();
    all.push((format!("keys {:?}", words(12)), "\"lonely\", \"fit\"".to_owned()));
    let seed = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
    let pair = |text: &str| STANDARD.encode(text);
    for (line, secret) in [
        (format!("raw 0x{seed}"), seed.to_owned()),
        (
            "Authorization: Bearer log-bearer-31".to_owned(),
            "log-bearer-31".to_owned(),
        ),
        (
            format!("sent basic {} to it", pair("log:basic-password-32")),
            pair("log:basic-password-32"),
        ),
        ("Cookie: a=log-cookie-33; b=c".to_owned(), "log-cookie-33".to_owned()),
        ("set-cookie: sid=log-cookie-34".to_owned(), "log-cookie-34".to_owned()),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl".to_owned(),
            "c2lnbmF0dXJl".to_owned(),
        ),
        (
            "role AKIAIOSFODNN7EXAMPLE".to_owned(),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ),
        (
            "clone with ghp_0123456789abcdefghij01234".to_owned(),
            "ghp_0123456789".to_owned(),
        ),
        ("password=log-password-35 set".to_owned(), "log-password-35".to_owned()),
        (
            "{\"client_secret\": \"log secret 36\"}".to_owned(),
            "log secret 36".to_owned(),
        ),
        (
            "at https://log-user-37:log-pass-37@h.example/x".to_owned(),
            "log-pass-37".to_owned(),
        ),
        (
            "wss://h.example/log-path-38 closed".to_owned(),
            "log-path-38".to_owned(),
        ),
        (
            "https://h.example/?api-key=log-query-39".to_owned(),
            "log-query-39".to_owned(),
        ),
        (
            "told xoxb-1234567890-abcdefghij".to_owned(),
            "xoxb-1234567890".to_owned(),
        ),
        (
            "GET https://h.example/?next=%2Fx%3Ftoken%3Dlog-token-40".to_owned(),
            "log-token-40".to_owned(),
        ),
        (
            r#"{"body":"{\"password\":\"log-nested-41\"}"}"#.to_owned(),
            "log-nested-41".to_owned(),
        ),
    ] {
        all.push((line, secret));
    }
    all
}

/// The page of an exporter with secrets where a page has room for them.
pub(crate) fn page() -> (String, Vec<String>) {
    let page = "# HELP substrate_block_height password=page-help-51\n# TYPE substrate_block_height gauge\n\
        substrate_block_height{status=\"best\",chain=\"relay\",url=\"wss://h.example/page-path-52\"} 100\n\
        substrate_block_height{status=\"finalized\",chain=\"relay\",token=\"page-token-53\"} 98\n\
        substrate_sync_peers{peer=\"https://page-user:page-pass-54@h.example/\"} 8\n\
        substrate_build_info{name=\"Bearer page-bearer-55\",version=\"1.0\"} 1\n";
    let secrets = [
        "page-help-51",
        "page-path-52",
        "page-token-53",
        "page-pass-54",
        "page-bearer-55",
    ];
    (page.to_owned(), secrets.map(str::to_owned).to_vec())
}

/// What the node writes into its log: what it was given, in the forms in which nodes do, and what else is secret.
pub(crate) fn log() -> (Vec<String>, Vec<String>) {
    let given = given();
    let mut log: Vec<String> = given.iter().map(|secret| format!("using {secret} now")).collect();
    for secret in &given {
        let escaped = serde_json::Value::from(secret.as_str());
        log.push(format!(
            "Authorization: Basic {}",
            STANDARD.encode(format!("user:{secret}"))
        ));
        log.push(format!("GET https://h.example/login?next={}", percent(secret)));
        log.push(format!("{{\"password\":{escaped}}}"));
        log.push(format!("config {escaped} was read"));
        log.push(format!("body {} of {}", STANDARD.encode(secret), percent(secret)));
    }
    let lines = lines();
    log.extend(lines.iter().map(|(line, _)| line.clone()));
    (log, lines.into_iter().map(|(_, secret)| secret).collect())
}

/// What the container and the agent are given.
pub(crate) fn given() -> Vec<String> {
    let variables = VARIABLES.iter().chain([&OF_IMAGE]).map(|(_, value)| *value);
    let given = variables.chain(ARGUMENTS.map(|(_, secret)| secret));
    let urls = [LOGIN.1, IDENTITY_TOKEN].into_iter().chain(WEBHOOK).chain(REFERENCE);
    given.chain(urls).map(str::to_owned).collect()
}

/// Everything planted, each once.
pub(crate) fn all() -> Vec<String> {
    let mut all = given();
    all.extend(log().1);
    all.extend(page().1);
    all.extend(FILES.map(|(_, secret)| secret.to_owned()));
    all
}

/// Docker's `config.json` with both logins.
pub(crate) fn logins(to: &Path, registry: &str) -> Result<()> {
    let (user, password) = LOGIN;
    let pair = STANDARD.encode(format!("{user}:{password}"));
    let logins = json!({ "auths": { registry: { "auth": pair }, "h.example": { "identitytoken": IDENTITY_TOKEN } } });
    fs::write(to, logins.to_string())?;
    Ok(fs::set_permissions(to, Permissions::from_mode(0o600))?)
}

/// Files with secrets in the data directory, of the collator's user.
pub(crate) fn files(data: &Path) -> Result<()> {
    for (place, secret) in FILES {
        let path = data.join(place);
        let folder = path.parent().context("no parent")?;
        fs::create_dir_all(folder)?;
        fs::write(&path, secret)?;
        for path in [folder, &path] {
            chown(path, Some(1000), Some(1000))?;
        }
    }
    Ok(())
}

/// A secret as it is and as it is written elsewhere.
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let escaped = serde_json::Value::from(secret).to_string();
    let escaped = escaped.trim_matches('"').to_owned();
    let twice = serde_json::Value::from(escaped.as_str())
        .to_string()
        .trim_matches('"')
        .to_owned();
    let mut forms = vec![
        secret.to_owned(),
        escaped,
        twice,
        percent(secret),
        percent(secret).to_lowercase(),
        STANDARD.encode(secret).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(format!("user:{secret}")),
        hex::encode(secret),
    ];
    forms.sort();
    forms.dedup();
    forms
}

/// With everything but letters, digits and dashes by its number.
fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
