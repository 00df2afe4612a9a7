//! Messages as the services want them: pure, bounded in length, and without markup of others.
//!
//! What these say was read in the services' documentation: Slack's incoming webhooks and its escaping of three
//! characters; Discord's "execute webhook" (`content` of at most 2000 characters, `allowed_mentions`); Telegram's
//! `sendMessage` (`text` of at most 4096 characters). `docs/notifications.md` describes our own document.

use serde::Serialize;
use serde_json::{Map, json};

use super::queue::QueuedMessage;
use crate::notification::NotifyFormat;
use crate::units::counted;

const SCHEMA: u32 = 1;
/// The longest text of a message, characters. With everything escaped, all of a message still fits everywhere.
const TEXT_MAX: usize = 700;
const NAME_MAX: usize = 128;
/// Slack cuts beyond 40,000 characters and asks for no more than 4,000.
const SLACK_MAX: usize = 4000;
const DISCORD_MAX: usize = 2000;
const TELEGRAM_MAX: usize = 4096;
/// Discord's flag for a message without previews of what it links to.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

#[derive(Serialize)]
struct PayloadDocument<'a> {
    schema: u32,
    time: String,
    event: &'static str,
    host: &'a str,
    container: &'a str,
    cause: Option<&'static str>,
    severity: Option<&'static str>,
    health: &'static str,
    text: &'a str,
    action: Option<&'static str>,
    incident: Option<&'a str>,
    helped: Option<bool>,
    more: u64,
    lost: u64,
    agent: &'static str,
}

/// The body of the request for one message: JSON. `params` are fields that the webhook's URL brings along,
/// `lost` counts messages before this one that could not be delivered.
pub fn body(format: NotifyFormat, params: &[(String, String)], queued: &QueuedMessage, lost: u64) -> String {
    let mut queued = queued.clone();
    let message = &mut queued.message;
    message.text = one_line(&message.text, TEXT_MAX);
    message.host = one_line(&message.host, NAME_MAX);
    message.container = one_line(&message.container, NAME_MAX);
    let body = match format {
        NotifyFormat::Json => return document(&queued, lost),
        NotifyFormat::Slack => json!({
            "text": fit(&lines(&queued, lost), SLACK_MAX, slack),
            "mrkdwn": false,
            "unfurl_links": false,
            "unfurl_media": false,
        }),
        NotifyFormat::Discord => json!({
            "content": fit(&lines(&queued, lost), DISCORD_MAX, discord),
            "allowed_mentions": {"parse": []},
            "flags": SUPPRESS_EMBEDS,
        }),
        NotifyFormat::Telegram => {
            let mut fields: Map<_, _> = params.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
            fields.insert("text".into(), fit(&lines(&queued, lost), TELEGRAM_MAX, telegram).into());
            fields.insert("link_preview_options".into(), json!({"is_disabled": true}));
            fields.into()
        }
    };
    body.to_string()
}

fn document(QueuedMessage { message, more }: &QueuedMessage, lost: u64) -> String {
    let document = PayloadDocument {
        schema: SCHEMA,
        time: message.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        event: message.kind.into_str(),
        host: &message.host,
        container: &message.container,
        cause: message.cause.map(Into::into),
        severity: message.severity.map(Into::into),
        health: message.health.into_str(),
        text: &message.text,
        action: message.action,
        incident: message.incident.as_deref(),
        helped: message.helped,
        more: *more,
        lost,
        agent: env!("CARGO_PKG_VERSION"),
    };
    // A struct of texts and numbers always serialises.
    serde_json::to_string(&document).unwrap_or_default()
}

fn lines(QueuedMessage { message, more }: &QueuedMessage, lost: u64) -> Vec<String> {
    let mut lines = vec![message.headline()];
    lines.extend(message.details());
    if *more > 0 {
        lines.push(format!("{more} more like this since the message before."));
    }
    if lost > 0 {
        lines.push(format!(
            "{} before this one could not be delivered: see t0rn-agent incidents.",
            counted(lost, "message")
        ));
    }
    lines
}

/// The text in one line, without what only moves the cursor or turns the reading direction.
fn one_line(text: &str, max: usize) -> String {
    let hidden = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut chars = text.trim().chars().filter(|c| !hidden(c));
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = chars.by_ref().take(max).map(plain).collect();
    if chars.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// Writes one character so that it stands for itself; `before` is the one before it in its line.
type Escape = fn(out: &mut String, before: Option<char>, c: char);

/// The lines with every character escaped, cut where they become longer than `max`. Counted in UTF-16, where
/// nothing counts less than with any of the services.
fn fit(lines: &[String], max: usize, escape: Escape) -> String {
    let (mut text, mut length) = (String::new(), 0);
    for (number, line) in lines.iter().enumerate() {
        let mut before = None;
        let newline = (number > 0).then_some('\n');
        for c in newline.into_iter().chain(line.chars()) {
            let begin = text.len();
            if c == '\n' {
                text.push(c);
            } else {
                escape(&mut text, before, c);
                before = Some(c);
            }
            length += text[begin..].encode_utf16().count();
            if length >= max {
                text.truncate(begin);
                text.push('…');
                return text;
            }
        }
    }
    text
}

fn slack(out: &mut String, _: Option<char>, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

fn discord(out: &mut String, before: Option<char>, c: char) {
    let begins_a_line = before.is_none() && matches!(c, '#' | '>' | '-' | '+');
    if begins_a_line || matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '[' | ']' | '<') {
        out.push('\\');
    }
    out.push(c);
}

/// There is no markup without a `parse_mode`, but a name behind an @ is called.
fn telegram(out: &mut String, before: Option<char>, c: char) {
    out.push(c);
    if c == '@' && before.is_none_or(|b| !b.is_alphanumeric()) {
        out.push('\u{200b}');
    }
}
