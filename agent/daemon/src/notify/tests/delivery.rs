//! Delivery: it blocks no sender, counts lost messages, and ends.

use std::time::Duration;

use agent_net::http::fake::Request;
use strum::VariantArray as _;

use super::fake::{Answer, Fake, status};
use super::*;
use crate::notify::delivery::{DeliveryTask, RetryPolicy};
use crate::notify::webhook::Webhook;

const QUICK_RETRIES: RetryPolicy = RetryPolicy {
    first: Duration::from_millis(10),
    longest: Duration::from_millis(20),
    asked: Duration::from_millis(50),
    altogether: Duration::from_millis(400),
};

fn start(fake: &Fake) -> DeliveryTask {
    let webhook = Webhook::new(&config(&fake.url(), NotifyFormat::Json)).unwrap();
    DeliveryTask::with(webhook.with_timeout(Duration::from_millis(300)), QUICK_RETRIES)
}

/// The requests, once there are so many.
async fn requests(fake: &Fake, count: usize) -> Vec<Request> {
    let waiting = async {
        loop {
            let requests = fake.requests();
            if requests.len() >= count {
                return requests;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    waited.unwrap_or_else(|_| panic!("{:?}", fake.requests()))
}

fn document(request: &Request) -> serde_json::Value {
    serde_json::from_str(&request.body).unwrap()
}

#[tokio::test]
async fn message_is_retried_until_accepted_and_then_no_more() {
    let fake = Fake::serve(|n| match n {
        0 => status(500, "", ""),
        1 => status(429, "retry-after: 100000\r\n", ""),
        _ => status(204, "", ""),
    })
    .await;
    let delivery = start(&fake);
    delivery.sender().send(stalled());
    delivery.sender().send(over(Cause::Stalled));
    let requests = requests(&fake, 4).await;
    let events = requests
        .iter()
        .map(|r| document(r)["event"].as_str().unwrap().to_owned());
    assert_eq!(events.collect::<Vec<_>>(), ["action", "action", "action", "over"]);
    delivery.finish(Duration::from_secs(5)).await;
    assert_eq!(fake.requests().len(), 4);
}

#[tokio::test]
async fn lost_messages_are_counted_in_the_next_message() {
    let fake = Fake::serve(|n| {
        if n < 2 {
            status(404, "", "")
        } else {
            status(200, "", "")
        }
    })
    .await;
    let delivery = start(&fake);
    for cause in [Cause::DiskLow, Cause::Quiet, Cause::ClockOff, Cause::Exited] {
        delivery.sender().send(problem(cause, ""));
    }
    let requests = requests(&fake, 4).await;
    let lost: Vec<_> = requests.iter().map(|r| document(r)["lost"].as_u64().unwrap()).collect();
    assert_eq!(lost, [0, 1, 2, 0]);
}

#[tokio::test]
async fn failing_message_is_dropped_and_the_next_is_delivered() {
    let fake = Fake::serve(|n| if n < 2 { Answer::Hang } else { status(200, "", "") }).await;
    let delivery = start(&fake);
    delivery.sender().send(stalled());
    delivery.sender().send(problem(Cause::Quiet, ""));
    let requests = requests(&fake, 3).await;
    let last = document(&requests[2]);
    assert_eq!((&last["cause"], &last["lost"]), (&"quiet".into(), &1.into()));
}

#[tokio::test]
async fn send_never_waits_and_counts_messages_beyond_the_queue() {
    let fake = Fake::serve(|_| status(200, "", "")).await;
    let delivery = start(&fake);
    // The task has no chance to look: nothing here awaits.
    for _ in 0..100 {
        delivery.sender().send(stalled());
    }
    delivery.sender().send(over(Cause::Stalled));
    let first = requests(&fake, 1).await.remove(0);
    assert_eq!(document(&first)["lost"], 37);
    delivery.finish(Duration::from_secs(5)).await;
    let delivered: u64 = fake
        .requests()
        .iter()
        .map(|r| 1 + document(r)["more"].as_u64().unwrap())
        .sum();
    assert_eq!(delivered, 64);
}

#[tokio::test]
async fn finish_sends_all_queued_messages_at_once() {
    let fake = Fake::serve(|_| status(200, "", "")).await;
    let delivery = start(&fake);
    for cause in &Cause::VARIANTS[..20] {
        delivery.sender().send(problem(*cause, ""));
    }
    delivery.finish(Duration::from_secs(20)).await;
    assert_eq!(fake.requests().len(), 20);
}

#[tokio::test]
async fn finish_does_not_wait_for_a_hanging_server() {
    let fake = Fake::serve(|_| Answer::Hang).await;
    let webhook = Webhook::new(&config(&fake.url(), NotifyFormat::Json)).unwrap();
    let delivery = DeliveryTask::with(webhook.with_timeout(Duration::from_hours(1)), QUICK_RETRIES);
    delivery.sender().send(stalled());
    requests(&fake, 1).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), delivery.finish(Duration::from_millis(50))).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn finish_ends_a_retry_pause_with_one_last_attempt() {
    let fake = Fake::serve(|_| status(500, "", "")).await;
    let webhook = Webhook::new(&config(&fake.url(), NotifyFormat::Json)).unwrap();
    let retry_policy = RetryPolicy {
        first: Duration::from_hours(1),
        longest: Duration::from_hours(1),
        altogether: Duration::from_hours(9),
        ..QUICK_RETRIES
    };
    let delivery = DeliveryTask::with(webhook, retry_policy);
    delivery.sender().send(stalled());
    requests(&fake, 1).await;
    delivery.finish(Duration::from_secs(20)).await;
    assert_eq!(fake.requests().len(), 2, "one more try");
}

#[test]
fn missing_webhook_starts_no_task() {
    let mut config = config("http://x/", NotifyFormat::Json);
    config.webhook = None;
    assert!(DeliveryTask::start(&config).is_none());
}
