//! Calls to the auto scaling group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agent_runtime::Instant;
use axum::body::Bytes;
use axum::http::HeaderMap;
use tokio::sync::{mpsc, watch};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use url::form_urlencoded;

use super::fake::{Fake, Respond};
use super::signature;
use crate::lifecycle::{LifecycleHook, release};
use crate::watch::MetadataEvent;

const GROUP: &str = "meta-data/tags/instance/aws:autoscaling:groupName";

fn hook(fake: &Fake) -> LifecycleHook {
    LifecycleHook {
        name: "stop-collator".to_owned(),
        imds: fake.base.clone(),
        endpoint: Some(format!("{}/", fake.base)),
        stop_timeout: Duration::from_secs(1),
    }
}

/// Events that no test looks at.
fn unheard() -> mpsc::Sender<MetadataEvent> {
    mpsc::channel(1).0
}

/// The form posted after `seen` others, once there is one.
async fn posted(fake: &Fake, seen: usize) -> (HeaderMap, Bytes) {
    loop {
        if let Some(found) = fake.script(|s| s.posted.get(seen).cloned()) {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

fn form(body: &Bytes) -> BTreeMap<String, String> {
    form_urlencoded::parse(body).into_owned().collect()
}

/// Whether the instance's role signed it for this API.
fn is_signed(headers: &HeaderMap, body: &Bytes) -> bool {
    let authorization = headers["authorization"].to_str().unwrap();
    let scope =
        authorization.contains("Credential=ASIAEXAMPLE/") && authorization.contains("/eu-central-1/autoscaling/");
    scope
        && headers["x-amz-security-token"] == "session=="
        && signature::is_signed("secret/key", "POST", "/", headers, body)
}

#[tokio::test]
async fn stopping_collator_sends_heartbeats_and_then_completes() {
    let fake = Fake::instance().await;
    fake.set(GROUP, "collators");
    let (released, receiver) = watch::channel(None);
    let task = tokio::spawn(release(hook(&fake), receiver, unheard()));
    released.send_replace(Some(false));
    let (headers, body) = posted(&fake, 0).await;
    assert!(is_signed(&headers, &body));
    let first = form(&body);
    assert_eq!(first["Action"], "RecordLifecycleActionHeartbeat");
    released.send_replace(Some(true));
    let (headers, body) = posted(&fake, 1).await;
    assert!(is_signed(&headers, &body));
    let second = form(&body);
    for (field, value) in [
        ("Action", "CompleteLifecycleAction"),
        ("Version", "2011-01-01"),
        ("AutoScalingGroupName", "collators"),
        ("InstanceId", "i-0123456789abcdef0"),
        ("LifecycleHookName", "stop-collator"),
        ("LifecycleActionResult", "CONTINUE"),
    ] {
        assert_eq!(second[field], value, "{field}");
    }
    // Cancelled and started again: the same again.
    released.send_replace(None);
    while fake.script(|s| s.posted.len()) < 3 {
        tokio::task::yield_now().await;
        released.send_if_modified(|last| last.replace(true).is_none());
    }
    drop(released);
    task.await.unwrap();
}

#[tokio::test]
async fn group_without_tag_is_described_by_the_api() {
    let fake = Fake::instance().await;
    let answer = r#"<DescribeAutoScalingInstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
        <DescribeAutoScalingInstancesResult><AutoScalingInstances><member>
        <InstanceId>i-0123456789abcdef0</InstanceId><AutoScalingGroupName>from &#x74;he api</AutoScalingGroupName>
        </member></AutoScalingInstances></DescribeAutoScalingInstancesResult>
        <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeAutoScalingInstancesResponse>"#;
    fake.script(|s| s.api.push((200, answer.to_owned())));
    let (_released, receiver) = watch::channel(Some(true));
    tokio::spawn(release(hook(&fake), receiver, unheard()));
    let (_, body) = posted(&fake, 0).await;
    assert_eq!(form(&body)["InstanceIds.member.1"], "i-0123456789abcdef0");
    let (_, body) = posted(&fake, 1).await;
    assert_eq!(form(&body)["AutoScalingGroupName"], "from the api");
}

#[tokio::test]
async fn failed_call_is_retried_with_new_credentials_when_expired() {
    let fake = Fake::instance().await;
    fake.set(GROUP, "collators");
    let expired = "<Error><Code>ExpiredToken</Code></Error>".to_owned();
    fake.script(|s| s.api.extend([(503, String::new()), (403, expired)]));
    let (_released, receiver) = watch::channel(Some(true));
    tokio::spawn(release(hook(&fake), receiver, unheard()));
    let (_, body) = posted(&fake, 2).await;
    assert_eq!(form(&body)["Action"], "CompleteLifecycleAction");
    let asked = fake.script(|s| {
        s.asked
            .iter()
            .filter(|path| path.ends_with("credentials/collator"))
            .count()
    });
    assert_eq!(asked, 2, "kept over the first failure, asked for after the second");
}

/// "No active Lifecycle Action found" for the first so many seconds, and every second call throttled.
fn early(seconds: u64, since: Duration, before: usize) -> (u16, String) {
    let error = |code: &str, message: &str| {
        let text = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        (400, text)
    };
    match before % 2 {
        1 => error("Throttling", "Rate exceeded"),
        _ if since < Duration::from_secs(seconds) => error(
            "ValidationError",
            "No active Lifecycle Action found with instance ID i-0",
        ),
        _ => (200, String::new()),
    }
}

/// The actions posted so far.
fn actions(fake: &Fake) -> Vec<String> {
    fake.script(|s| s.posted.iter().map(|(_, body)| form(body)["Action"].clone()).collect())
}

#[tokio::test(start_paused = true)]
async fn early_completion_is_made_again_until_the_action_is_active() {
    for (respond, at_least, within) in [
        (Respond(|_, since, before| early(3, since, before)), 3, 20),
        (Respond(|_, since, before| early(90, since, before)), 10, 120),
    ] {
        let fake = Fake::in_memory();
        fake.set(GROUP, "collators");
        fake.script(|s| s.respond = Some(respond));
        let began = Instant::now();
        let (released, receiver) = watch::channel(Some(true));
        let task = tokio::spawn(release(hook(&fake), receiver, unheard()));
        tokio::time::sleep(Duration::from_secs(within)).await;
        let made = actions(&fake);
        assert!(made.len() >= at_least, "{made:?}");
        assert!(
            made.iter().all(|action| action == "CompleteLifecycleAction"),
            "{made:?}"
        );
        // Carried out, it is not made again.
        tokio::time::sleep(Duration::from_mins(20)).await;
        assert_eq!(actions(&fake).len(), made.len(), "after {:?}", began.elapsed());
        drop(released);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn early_heartbeat_ends_neither_heartbeats_nor_the_completion() {
    let fake = Fake::in_memory();
    fake.set(GROUP, "collators");
    fake.script(|s| s.respond = Some(Respond(|_, since, before| early(7, since, before))));
    let (released, receiver) = watch::channel(Some(false));
    tokio::spawn(release(hook(&fake), receiver, unheard()));
    tokio::time::sleep(Duration::from_mins(2)).await;
    let heartbeats = actions(&fake).len();
    assert!(heartbeats > 6, "{heartbeats} in two minutes");
    released.send_replace(Some(true));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(actions(&fake).last().unwrap(), "CompleteLifecycleAction");
}

/// Counts the warnings of this thread.
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn error_that_comes_again_after_a_heartbeat_is_logged_again() {
    let throttled = |_: &str, _, before: usize| match before % 4 {
        2 | 3 => (
            400,
            "<Error><Code>Throttling</Code><Message>no</Message></Error>".to_owned(),
        ),
        _ => (200, String::new()),
    };
    let fake = Fake::in_memory();
    fake.set(GROUP, "collators");
    fake.script(|s| s.respond = Some(Respond(throttled)));
    let warnings = Arc::new(AtomicUsize::new(0));
    let _logged = tracing::subscriber::set_default(Warnings(Arc::clone(&warnings)));
    let (_released, receiver) = watch::channel(Some(false));
    tokio::spawn(release(hook(&fake), receiver, unheard()));
    while actions(&fake).len() < 9 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(warnings.load(Ordering::Relaxed), 2, "once for each of two times");
}

#[tokio::test(start_paused = true)]
async fn action_that_never_becomes_active_is_given_up_with_the_hooks_time() {
    let fake = Fake::in_memory();
    fake.set(GROUP, "collators");
    fake.script(|s| s.respond = Some(Respond(|_, since, _| early(u64::MAX, since, 0))));
    let (released, receiver) = watch::channel(Some(true));
    let task = tokio::spawn(release(hook(&fake), receiver, unheard()));
    tokio::time::sleep(Duration::from_mins(9)).await;
    let made = actions(&fake).len();
    assert!(
        (108..250).contains(&made),
        "{made} calls in 9 min: one every few seconds"
    );
    tokio::time::sleep(Duration::from_mins(5)).await;
    let made = actions(&fake).len();
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert_eq!(actions(&fake).len(), made, "given up");
    drop(released);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn group_that_is_not_known_yet_is_looked_up_again() {
    let fake = Fake::in_memory();
    fake.script(|s| {
        s.respond = Some(Respond(|action, _, before| match (action, before) {
            ("DescribeAutoScalingInstances", 0..3) => (200, "<R><AutoScalingInstances/></R>".to_owned()),
            ("DescribeAutoScalingInstances", _) => (
                200,
                "<R><AutoScalingGroupName>collators</AutoScalingGroupName></R>".to_owned(),
            ),
            _ => (200, String::new()),
        }));
    });
    let (_released, receiver) = watch::channel(Some(true));
    tokio::spawn(release(hook(&fake), receiver, unheard()));
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(actions(&fake).last().unwrap(), "CompleteLifecycleAction");
    assert_eq!(actions(&fake).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn throttled_metadata_service_delays_the_completion_by_seconds() {
    let fake = Fake::in_memory();
    fake.set(GROUP, "collators");
    fake.script(|s| s.throttled = Some(4));
    let (_released, receiver) = watch::channel(Some(true));
    tokio::spawn(release(hook(&fake), receiver, unheard()));
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(actions(&fake), ["CompleteLifecycleAction"]);
}

#[tokio::test(start_paused = true)]
async fn refusal_is_shown_at_once_and_other_errors_after_a_minute() {
    let refused = |_: &str, since: Duration, _| {
        let error = |code: &str| (400, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"));
        match since.as_secs() {
            0..30 => error("AccessDenied"),
            30..300 => error("Throttling"),
            _ => (200, String::new()),
        }
    };
    let fake = Fake::in_memory();
    fake.set(GROUP, "collators");
    fake.script(|s| s.respond = Some(Respond(refused)));
    let (_released, receiver) = watch::channel(Some(true));
    let (sender, mut events) = mpsc::channel(8);
    let began = Instant::now();
    tokio::spawn(release(hook(&fake), receiver, sender));
    let mut shown = Vec::new();
    while shown.len() < 3 {
        let Some(MetadataEvent::HookUnanswered(error)) = events.recv().await else {
            panic!("{shown:?}")
        };
        shown.push((began.elapsed().as_secs(), error.unwrap_or_default()));
    }
    let remedy = "allow autoscaling:CompleteLifecycleAction to the instance's role (";
    assert!(shown[0].0 < 2 && shown[0].1.starts_with(remedy), "{shown:?}");
    assert!(
        (60..90).contains(&shown[1].0) && shown[1].1.contains("Throttling"),
        "{shown:?}"
    );
    assert_eq!(shown[2].1, "");
}
