//! States of an attachment: stale, busy, and stuck ones.

use agent_core::event::Holding;

use super::ec2::{Account, FREE, Host, VOLUME};

#[tokio::test(start_paused = true)]
async fn volume_that_is_being_detached_is_unmounted_once_the_collator_is_down() {
    for status in ["busy", "detaching"] {
        let mut host = Host::holding().await;
        host.change(|account| account.status = status);
        host.pass(60).await;
        assert_eq!(host.state(), Holding::Lost, "{status}: {}", host.why());
        assert_eq!(host.why(), format!("{VOLUME} is {status}"));
        assert!(
            host.change(|account| account.mounted),
            "{status}: under a collator that may write"
        );
        host.set_idle(true);
        host.pass(5).await;
        // EC2 ends the detachment, and the volume is free for this or another host.
        assert!(
            host.change(|account| account.count("AttachVolume")) > 1,
            "{status}: still waiting"
        );
        host.pass(30).await;
        assert_eq!(host.state(), Holding::Held, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn volume_that_cannot_be_unmounted_for_its_detachment_names_what_to_do() {
    let mut host = Host::holding().await;
    host.change(|account| (account.status, account.in_use) = ("busy", true));
    host.set_idle(true);
    host.pass(60).await;
    assert!(host.why().starts_with("end what uses /"), "{}", host.why());
    assert!(host.why().contains("target is busy"), "{}", host.why());
    host.change(|account| account.in_use = false);
    host.pass(60).await;
    assert_eq!(host.state(), Holding::Held, "{}", host.why());
}

#[tokio::test(start_paused = true)]
async fn stale_answer_about_a_volume_that_is_mounted_here_stops_nothing() {
    for status in [FREE, "attaching", "detaching"] {
        let mut host = Host::holding().await;
        let before = host.change(|account| {
            account.said = Some(status);
            account.count("DescribeVolumes")
        });
        let mut reported = Vec::new();
        while host.change(|account| account.count("DescribeVolumes")) == before {
            reported.extend(host.pass(1).await);
        }
        host.change(|account| account.said = None);
        reported.extend(host.pass(60).await);
        assert!(!reported.is_empty(), "{status}: it was not asked");
        let stops = |holding| !matches!(holding, Holding::Held | Holding::Unknown);
        assert!(
            !reported.iter().any(|found| stops(found.holding)),
            "{status}: {reported:?}"
        );
        assert_eq!(host.state(), Holding::Held);
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_stands_is_believed_after_ten_seconds() {
    let mut host = Host::holding().await;
    host.change(|account| account.status = "detaching");
    let reported = host.pass(60).await;
    let states: Vec<_> = reported.iter().map(|found| found.holding).collect();
    assert_eq!(states, [Holding::Unknown, Holding::Lost]);
    assert!(
        reported[0].why.contains("is detaching, and it is mounted here"),
        "{}",
        reported[0].why
    );
}

#[tokio::test(start_paused = true)]
async fn stuck_attachment_is_told_with_its_remedy_and_undone_for_another_name() {
    let mut host = Host::start(Account {
        taken: Some(("/dev/sdp", "attaching")),
        ..Account::default()
    });
    host.pass(50).await;
    assert_eq!(
        (host.state(), host.why()),
        (Holding::Missing, format!("{VOLUME} is attaching").as_str())
    );
    host.pass(40).await;
    assert!(
        host.why().starts_with("reboot this instance if this goes on: vol-"),
        "{}",
        host.why()
    );
    assert_eq!(host.change(|account| account.count("DetachVolume")), 0, "too early");
    host.pass(90).await;
    assert_eq!(host.state(), Holding::Held, "{}", host.why());
    let calls = host.change(|account| account.calls.clone());
    let changes: Vec<_> = calls.iter().filter(|(action, _)| action != "DescribeVolumes").collect();
    let names: Vec<_> = changes
        .iter()
        .map(|(action, device)| (action.as_str(), device.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("AttachVolume", "/dev/sdp"),
            ("DetachVolume", ""),
            ("AttachVolume", "/dev/sdo")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn volume_under_a_collator_is_never_detached_for_being_stuck() {
    let mut host = Host::holding().await;
    host.change(|account| account.said = Some("attaching"));
    host.pass(1200).await;
    assert_eq!(host.change(|account| account.count("DetachVolume")), 0);
}

#[tokio::test(start_paused = true)]
async fn taken_device_name_is_followed_by_the_next() {
    let in_use = "Invalid value '/dev/sdp' for unixDevice. Attachment point /dev/sdp is already in use";
    let mut host = Host::start(Account {
        refused: vec![("AttachVolume", "InvalidParameterValue", in_use)],
        ..Account::default()
    });
    host.pass(1).await;
    host.change(|account| account.refused.clear());
    host.pass(30).await;
    assert_eq!(host.state(), Holding::Held, "{}", host.why());
    let calls = host.change(|account| account.calls.clone());
    let names = calls
        .iter()
        .filter(|(action, _)| action == "AttachVolume")
        .map(|(_, device)| device.as_str());
    let names: Vec<_> = names.collect();
    assert_eq!((names[0], names[1]), ("/dev/sdp", "/dev/sdo"), "{names:?}");
}
