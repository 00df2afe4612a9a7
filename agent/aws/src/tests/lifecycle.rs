//! Calls to the auto scaling group.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use tokio::sync::watch;
use url::form_urlencoded;

use super::fake::Fake;
use super::signature;
use crate::lifecycle::{LifecycleHook, release};

const GROUP: &str = "meta-data/tags/instance/aws:autoscaling:groupName";

fn hook(fake: &Fake) -> LifecycleHook {
    LifecycleHook {
        name: "stop-collator".to_owned(),
        imds: fake.base.clone(),
        endpoint: Some(format!("{}/", fake.base)),
        stop_timeout: Duration::from_secs(1),
    }
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
    let task = tokio::spawn(release(hook(&fake), receiver));
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
    tokio::spawn(release(hook(&fake), receiver));
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
    tokio::spawn(release(hook(&fake), receiver));
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

#[tokio::test]
async fn unknown_lifecycle_action_is_not_retried() {
    let fake = Fake::instance().await;
    fake.set(GROUP, "collators");
    let none = "<Error><Code>ValidationError</Code><Message>No active Lifecycle Action found</Message></Error>";
    fake.script(|s| s.api.push((400, none.to_owned())));
    let (released, receiver) = watch::channel(Some(true));
    let task = tokio::spawn(release(hook(&fake), receiver));
    posted(&fake, 0).await;
    drop(released);
    task.await.unwrap();
    assert_eq!(fake.script(|s| s.posted.len()), 1);
}
