//! One message when something begins, one when it is over.

use super::*;
use crate::event::DesiredSpec;
use crate::machine::Action;
use crate::notification::filter::{Notification, NotificationFilter};

/// What is told of these actions, in short.
fn told(filter: &mut NotificationFilter, actions: &[Action], tried: &[Cause]) -> Vec<String> {
    let news = filter.select(actions, |cause| tried.contains(&cause));
    let short = |news: Notification| {
        let Notification {
            kind,
            cause,
            action,
            helped,
        } = news;
        let more = action.map(str::to_owned).or(helped.map(|h| h.to_string()));
        [
            Some(kind.into_str().to_owned()),
            Some(cause.into_str().to_owned()),
            more,
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
    };
    news.into_iter().map(short).collect()
}

fn begins(cause: Cause) -> Action {
    Action::Notify { cause, over: false }
}

fn ends(cause: Cause) -> Action {
    Action::Notify { cause, over: true }
}

fn restart(cause: Cause) -> Action {
    Action::Restart {
        cause,
        spec: DesiredSpec::default(),
    }
}

fn judged(cause: Cause, helped: bool) -> Action {
    Action::Judged { cause, helped }
}

#[test]
fn a_stall_that_a_restart_cures_is_two_messages() {
    let (mut filter, cause) = (NotificationFilter::default(), Cause::Stalled);
    assert_eq!(
        told(&mut filter, &[restart(cause), begins(cause)], &[cause]),
        ["action stalled restart"]
    );
    // The new process is not behind yet: that proves nothing.
    assert!(told(&mut filter, &[ends(cause)], &[cause]).is_empty());
    assert!(told(&mut filter, &[], &[cause]).is_empty());
    assert_eq!(told(&mut filter, &[judged(cause, true)], &[]), ["judged stalled true"]);
    assert!(told(&mut filter, &[], &[]).is_empty());
    assert!(
        told(&mut filter, &[ends(cause)], &[]).is_empty(),
        "that it helped was the end"
    );
    assert_eq!(told(&mut filter, &[begins(cause)], &[]), ["problem stalled"]);
    assert_eq!(told(&mut filter, &[ends(cause)], &[]), ["over stalled"]);
}

#[test]
fn a_cure_that_shows_at_once_is_told_once() {
    let (mut filter, cause) = (NotificationFilter::default(), Cause::NoExporter);
    told(&mut filter, &[restart(cause), begins(cause)], &[cause]);
    assert_eq!(
        told(&mut filter, &[judged(cause, true), ends(cause)], &[]),
        ["judged no_exporter true"]
    );
}

#[test]
fn a_restart_that_does_not_help_is_told_with_the_trouble_that_is_back() {
    let (mut filter, cause) = (NotificationFilter::default(), Cause::Stalled);
    told(&mut filter, &[restart(cause), begins(cause)], &[cause]);
    told(&mut filter, &[ends(cause)], &[cause]);
    assert_eq!(
        told(&mut filter, &[judged(cause, false), begins(cause)], &[cause]),
        ["judged stalled false"]
    );
    assert_eq!(
        told(&mut filter, &[restart(cause)], &[cause]),
        ["action stalled restart"]
    );
    told(&mut filter, &[ends(cause)], &[cause]);
    let given_up = [judged(cause, false), begins(cause), begins(Cause::NotHelping)];
    assert_eq!(
        told(&mut filter, &given_up, &[cause]),
        ["judged stalled false", "problem not_helping"]
    );
    let cured = [judged(cause, true), ends(cause), ends(Cause::NotHelping)];
    assert_eq!(
        told(&mut filter, &cured, &[]),
        ["judged stalled true", "over not_helping"]
    );
}

#[test]
fn what_nobody_will_judge_any_more_is_over() {
    let (mut filter, cause) = (NotificationFilter::default(), Cause::Isolated);
    told(&mut filter, &[restart(cause), begins(cause)], &[cause]);
    told(&mut filter, &[ends(cause)], &[cause]);
    assert_eq!(told(&mut filter, &[], &[]), ["over isolated"]);
    assert!(told(&mut filter, &[], &[]).is_empty());
}

#[test]
fn trouble_that_is_back_before_it_was_judged_is_not_called_over() {
    let (mut filter, cause) = (NotificationFilter::default(), Cause::Isolated);
    told(&mut filter, &[restart(cause), begins(cause)], &[cause]);
    told(&mut filter, &[ends(cause)], &[cause]);
    assert_eq!(told(&mut filter, &[begins(cause)], &[cause]), ["problem isolated"]);
    assert!(told(&mut filter, &[], &[]).is_empty());
}

#[test]
fn a_start_that_answers_what_was_told_is_no_news_of_its_own() {
    let (mut filter, cause) = (NotificationFilter::default(), Cause::Killed);
    let start = Action::Start {
        cause,
        spec: DesiredSpec::default(),
    };
    assert_eq!(told(&mut filter, &[begins(cause)], &[]), ["problem killed"]);
    assert!(told(&mut filter, std::slice::from_ref(&start), &[]).is_empty());
    assert_eq!(told(&mut filter, &[ends(cause)], &[]), ["over killed"]);
    assert_eq!(told(&mut filter, &[start], &[]), ["action killed start"]);
}

#[test]
fn conditions_begin_and_end_and_what_people_ask_for_is_no_incident() {
    let mut filter = NotificationFilter::default();
    assert_eq!(told(&mut filter, &[begins(Cause::DiskLow)], &[]), ["problem disk_low"]);
    let stop = Action::Stop { cause: Cause::DiskFull };
    let full = [ends(Cause::DiskLow), stop, begins(Cause::DiskFull)];
    assert_eq!(
        told(&mut filter, &full, &[]),
        ["over disk_low", "action disk_full stop"]
    );
    assert_eq!(told(&mut filter, &[ends(Cause::DiskFull)], &[]), ["over disk_full"]);
    let stop = Action::Stop { cause: Cause::Operator };
    assert_eq!(
        told(&mut filter, &[stop, begins(Cause::Operator)], &[]),
        ["problem operator"]
    );
    assert!(told(&mut filter, &[restart(Cause::Operator)], &[]).is_empty());
}
