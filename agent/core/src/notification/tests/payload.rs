//! What the services get to read.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::notification::NotifyFormat;
use crate::notification::payload::body;
use crate::notification::queue::QueuedMessage;

const FORMATS: [NotifyFormat; 4] = [
    NotifyFormat::Json,
    NotifyFormat::Slack,
    NotifyFormat::Discord,
    NotifyFormat::Telegram,
];

fn render(format: NotifyFormat, message: NotificationMessage, more: u64, lost: u64) -> Value {
    let params = [("chat_id".to_owned(), "-1001234".to_owned())];
    let text = body(format, &params, &QueuedMessage { message, more }, lost);
    serde_json::from_str(&text).unwrap()
}

/// The part for people.
fn text(format: NotifyFormat, message: NotificationMessage) -> String {
    let value = render(format, message, 3, 2);
    let field = if format == NotifyFormat::Discord {
        "content"
    } else {
        "text"
    };
    value[field].as_str().unwrap().to_owned()
}

#[test]
fn every_service_gets_its_documented_shape() {
    let all: Vec<_> = FORMATS
        .into_iter()
        .map(|format| render(format, stalled(), 0, 0))
        .collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
}

#[test]
fn every_kind_of_news_reads_well() {
    let judged = |helped: bool| NotificationMessage {
        kind: NotificationKind::Judged,
        severity: (!helped).then_some(Health::Critical),
        health: if helped { Health::Ok } else { Health::Critical },
        text: if helped { String::new() } else { stalled().text },
        action: None,
        helped: Some(helped),
        ..stalled()
    };
    let hold = NotificationMessage {
        cause: Some(Cause::DatabaseCorrupted),
        text: "the database is damaged: restore the chain data from a snapshot, then t0rn-agent start".to_owned(),
        action: Some("hold"),
        ..stalled()
    };
    let backoff = NotificationMessage {
        cause: Some(Cause::CrashLoop),
        action: Some("backoff"),
        incident: None,
        ..stalled()
    };
    let news = [
        stalled(),
        judged(true),
        judged(false),
        hold,
        backoff,
        problem(
            Cause::NetworkDown,
            "the host has no default route or no resolver that answers",
        ),
        over(Cause::NetworkDown),
        NotificationMessage::test(stalled().at, "ip-10-10-1-7".to_owned(), "t0rn-collator".to_owned()),
    ];
    let texts: Vec<_> = news
        .into_iter()
        .map(|m| QueuedMessage { message: m, more: 0 })
        .collect();
    let texts = texts.iter().map(|queued| {
        let value: Value = serde_json::from_str(&body(NotifyFormat::Slack, &[], queued, 0)).unwrap();
        value["text"].as_str().unwrap().to_owned()
    });
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn what_was_held_back_and_what_was_lost_is_told() {
    for format in &FORMATS[1..] {
        let text = text(*format, stalled());
        assert!(
            text.contains("3 more like this") && text.contains("2 messages before this one"),
            "{text}"
        );
    }
    let document = render(NotifyFormat::Json, stalled(), 3, 2);
    assert_eq!((&document["more"], &document["lost"]), (&3.into(), &2.into()));
}

#[test]
fn markup_and_mentions_of_others_stand_for_themselves() {
    let hostile =
        "<!channel> *b* _i_ ~s~ `c` ||x|| [a](http://x/y) @everyone a@b <@U1> & \\ \u{202e}\u{200b}\nnew\tline\u{7}";
    let texts = FORMATS[1..].iter().map(|f| {
        text(*f, problem(Cause::ActionFailed, hostile))
            .escape_debug()
            .to_string()
    });
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"));
    let quote = text(NotifyFormat::Discord, problem(Cause::ActionFailed, "> # - quoted"));
    assert!(quote.contains("\n\\> # - quoted\n"), "{quote}");
}

#[test]
fn a_webhook_s_own_fields_do_not_replace_the_text() {
    let params = ["chat_id", "text", "message_thread_id"].map(|name| (name.to_owned(), "7".to_owned()));
    let queued = QueuedMessage {
        message: stalled(),
        more: 0,
    };
    let value: Value = serde_json::from_str(&body(NotifyFormat::Telegram, &params, &queued, 0)).unwrap();
    assert_eq!(
        (&value["chat_id"], &value["message_thread_id"]),
        (&"7".into(), &"7".into())
    );
    assert!(
        value["text"]
            .as_str()
            .unwrap()
            .starts_with("CRITICAL: t0rn-collator on ip-10-10-1-7: stalled\n")
    );
}

proptest! {
    #[test]
    fn no_text_makes_a_message_too_long_or_mentions_anybody(
        text in "[&<>@*_\\\\a-z😀\u{1}\n]{0,3000}", host in "\\PC{0,200}", more in any::<u64>(),
    ) {
        let message = || NotificationMessage { host: host.clone(), ..problem(Cause::ActionFailed, &text) };
        let value = |format| render(format, message(), more, more);
        let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();

        let slack = value(NotifyFormat::Slack);
        prop_assert!(units(&slack["text"]) <= 4000);
        let left = ["&amp;", "&lt;", "&gt;"].iter().fold(slack["text"].as_str().unwrap().to_owned(), |t, e| t.replace(e, ""));
        prop_assert!(!left.contains(['&', '<', '>']), "{left}");

        let discord = value(NotifyFormat::Discord);
        prop_assert!(units(&discord["content"]) <= 2000);
        prop_assert_eq!(&discord["allowed_mentions"]["parse"], &Value::Array(Vec::new()));

        let telegram = value(NotifyFormat::Telegram);
        prop_assert!(units(&telegram["text"]) <= 4096 && units(&telegram["text"]) > 0);

        let json = value(NotifyFormat::Json);
        prop_assert!(json.to_string().len() <= 8 << 10);
    }
}
