//! Tokens and responses of the metadata service.

use std::time::Duration;

use agent_runtime::Instant;
use tokio::net::TcpListener;

use super::fake::{Answer, Fake};
use crate::imds::{Imds, ImdsError};

const PATH: &str = "meta-data/instance-id";

/// With a long timeout: the machine may be busy.
fn imds(fake: &Fake) -> Imds {
    Imds::new(&fake.base).with_timeout(Duration::from_secs(20))
}

#[tokio::test]
async fn one_token_serves_many_requests() {
    let fake = Fake::instance().await;
    let mut imds = imds(&fake);
    for _ in 0..5 {
        assert_eq!(imds.get(PATH).await, Ok(Some("i-0123456789abcdef0".to_owned())));
    }
    assert_eq!(imds.get("meta-data/spot/instance-action").await, Ok(None));
    assert_eq!(fake.tokens(), 1);
}

#[tokio::test]
async fn token_is_renewed_before_its_end() {
    let fake = Fake::instance().await;
    fake.script(|s| s.ttl = Some(1));
    let mut imds = imds(&fake);
    for number in 1..=3 {
        assert!(imds.get(PATH).await.is_ok());
        assert_eq!(fake.tokens(), number, "half of one second is none");
    }
    fake.script(|s| s.ttl = Some(21_600));
    for _ in 0..3 {
        assert!(imds.get(PATH).await.is_ok());
    }
    assert_eq!(fake.tokens(), 4);
}

#[tokio::test]
async fn rejected_token_is_renewed_and_the_request_sent_once_more() {
    let fake = Fake::instance().await;
    let mut imds = imds(&fake);
    assert!(imds.get(PATH).await.is_ok());
    fake.script(|s| s.forgets = true);
    assert_eq!(imds.get(PATH).await, Ok(Some("i-0123456789abcdef0".to_owned())));
    assert_eq!(fake.tokens(), 2);
    fake.answer(PATH, Answer::Status(401));
    let asked = fake.script(|s| s.asked.len());
    assert!(matches!(imds.get(PATH).await, Err(ImdsError::Unavailable(_))));
    assert_eq!(fake.script(|s| s.asked.len()), asked + 2, "no endless round");
}

#[tokio::test]
async fn error_response_is_unavailable_and_not_missing() {
    for status in [400, 403, 429, 500, 503, 301] {
        let fake = Fake::instance().await;
        fake.answer(PATH, Answer::Status(status));
        assert!(
            matches!(imds(&fake).get(PATH).await, Err(ImdsError::Unavailable(_))),
            "{status}"
        );
    }
    for status in [403, 429, 500] {
        let fake = Fake::instance().await;
        fake.script(|s| s.token = Some(Answer::Status(status)));
        assert!(
            matches!(imds(&fake).get(PATH).await, Err(ImdsError::Unavailable(_))),
            "{status}"
        );
    }
    let fake = Fake::instance().await;
    fake.set(PATH, &"x".repeat(1 << 20));
    let huge = imds(&fake).get(PATH).await.unwrap_err();
    assert!(huge.to_string().contains("larger than"), "{huge}");
    fake.script(|s| s.token = Some(Answer::Text("no\ntoken".to_owned())));
    assert!(matches!(imds(&fake).get(PATH).await, Err(ImdsError::Unavailable(_))));
}

#[tokio::test]
async fn other_server_is_absent_within_a_second() {
    let fake = Fake::start().await;
    fake.script(|s| s.token = Some(Answer::Status(404)));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    // Accepted by the kernel, never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = format!("http://{}", silent.local_addr().unwrap());
    for base in [fake.base, refused, mute] {
        let began = Instant::now();
        let found = Imds::new(&base).get(PATH).await;
        assert!(matches!(found, Err(ImdsError::Absent(_))), "{base}: {found:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "the limit is 0.9 s");
    }
}

#[tokio::test]
async fn slow_response_times_out_and_the_next_request_succeeds() {
    let fake = Fake::instance().await;
    fake.answer(PATH, Answer::Silence);
    let mut imds = Imds::new(&fake.base);
    assert!(imds.get(PATH).await.is_err());
    fake.set(PATH, "i-0");
    assert!(imds.with_timeout(Duration::from_secs(20)).get(PATH).await.is_ok());
}
