//! Refusals, and services that do not answer.

use agent_core::event::Holding;

use super::ec2::{Account, Host, Refusal, VOLUME};

const NOT_FOUND: Refusal = (
    "DescribeVolumes",
    "InvalidVolume.NotFound",
    "The volume does not exist.",
);
const DENIED: Refusal = ("DescribeVolumes", "UnauthorizedOperation", "You are not authorized.");
const THROTTLED: Refusal = ("DescribeVolumes", "RequestLimitExceeded", "Request limit exceeded.");

fn trust() -> String {
    r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role collator."}"#.to_owned()
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_right_is_missing_within_a_minute_with_the_remedy_first() {
    let attach = ("AttachVolume", "UnauthorizedOperation", "You are not authorized.");
    for (refused, role, remedy) in [
        (
            Some(NOT_FOUND),
            None,
            "correct identity.volume: EC2 knows no vol-0123456789abcdef0 in this region",
        ),
        (Some(DENIED), None, "allow ec2:DescribeVolumes to the instance's role"),
        (
            None,
            Some(trust()),
            "let ec2.amazonaws.com assume the role collator by its trust policy",
        ),
        (
            Some(attach),
            None,
            "vol-0123456789abcdef0 cannot be attached: allow ec2:AttachVolume to the instance's role",
        ),
    ] {
        let mut host = Host::start(Account {
            refused: refused.into_iter().collect(),
            role,
            ..Account::default()
        });
        host.pass(60).await;
        assert_eq!(host.state(), Holding::Missing, "{remedy}: {}", host.why());
        assert!(host.why().starts_with(remedy), "{}", host.why());
        // Put right, it is held without a restart.
        host.change(|account| {
            account.refused.clear();
            account.role = None;
        });
        host.pass(60).await;
        assert_eq!(host.state(), Holding::Held, "{}", host.why());
    }
}

#[tokio::test(start_paused = true)]
async fn new_volume_that_is_not_found_at_first_is_held_without_an_alarm() {
    let mut host = Host::start(Account {
        refused: vec![NOT_FOUND],
        ..Account::default()
    });
    let reported = host.pass(20).await;
    assert!(
        reported.iter().all(|found| found.holding == Holding::Unknown),
        "{reported:?}"
    );
    host.change(|account| account.refused.clear());
    host.pass(30).await;
    assert_eq!(host.state(), Holding::Held, "{}", host.why());
}

#[tokio::test(start_paused = true)]
async fn api_that_throttles_for_a_minute_before_a_start_is_told() {
    let mut host = Host::start(Account {
        refused: vec![THROTTLED],
        ..Account::default()
    });
    host.pass(20).await;
    assert_eq!(host.state(), Holding::Unknown);
    host.pass(40).await;
    assert_eq!(host.state(), Holding::Missing);
    assert!(host.why().contains("RequestLimitExceeded"), "{}", host.why());
    host.change(|account| account.refused.clear());
    host.pass(30).await;
    assert_eq!(host.state(), Holding::Held);
}

#[tokio::test(start_paused = true)]
async fn refusal_under_a_running_collator_stops_nothing() {
    for (refused, role) in [
        (Some(NOT_FOUND), None),
        (Some(DENIED), None),
        (Some(THROTTLED), None),
        (None, Some(trust())),
    ] {
        let mut host = Host::holding().await;
        host.change(|account| {
            account.refused = refused.into_iter().collect();
            account.role = role;
        });
        for found in host.pass(600).await {
            let passes = matches!(found.holding, Holding::Held | Holding::Unknown);
            assert!(passes, "{found:?}");
        }
        assert!(host.change(|account| account.mounted), "{VOLUME} is unmounted");
    }
}
