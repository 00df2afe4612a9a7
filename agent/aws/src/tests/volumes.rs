//! Answers about a volume and about the role that asks for it.

use std::time::Duration;

use super::fake::{Answer, Fake, Respond};
use crate::consistency::ErrorClass;
use crate::volumes::{Attachment, Volumes};

const VOLUME: &str = "vol-0123456789abcdef0";
const ROLES: &str = "meta-data/iam/security-credentials/";
const ROLE: &str = "meta-data/iam/security-credentials/collator";

fn volumes(fake: &Fake) -> Volumes {
    Volumes::new(&fake.base, Some("http://ec2.internal/".to_owned()))
}

/// Class and text of the error about the attachment.
async fn refused(volumes: &mut Volumes) -> (ErrorClass, String) {
    let error = volumes.attachment(VOLUME).await.unwrap_err();
    (error.class(), error.to_string())
}

fn error(code: &str, message: &str) -> (u16, String) {
    let text = format!("<R><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></R>");
    (400, text)
}

fn described() -> (u16, String) {
    let item = format!("<item><volumeId>{VOLUME}</volumeId><attachmentSet/></item>");
    (200, format!("<R><volumeSet>{item}</volumeSet></R>"))
}

#[tokio::test(start_paused = true)]
async fn volume_that_is_not_found_is_believed_to_be_missing_after_a_while() {
    let fake = Fake::in_memory();
    let not_found = |_: &str, _, _| error("InvalidVolume.NotFound", "The volume does not exist.");
    fake.script(|s| s.respond = Some(Respond(not_found)));
    let mut volumes = volumes(&fake);
    let (class, text) = refused(&mut volumes).await;
    assert_eq!(class, ErrorClass::Unsettled, "{text}");
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(refused(&mut volumes).await.0, ErrorClass::Unsettled);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (class, text) = refused(&mut volumes).await;
    assert_eq!(class, ErrorClass::Permanent);
    assert!(
        text.starts_with(&format!(
            "correct identity.volume: EC2 knows no {VOLUME} in this region"
        )),
        "{text}"
    );
    assert!(text.contains("InvalidVolume.NotFound"), "{text}");

    // An answer between begins the wait anew.
    fake.script(|s| s.respond = Some(Respond(|_, _, _| described())));
    assert_eq!(volumes.attachment(VOLUME).await.unwrap(), Attachment::Free);
    fake.script(|s| s.respond = Some(Respond(|_, _, _| (200, "<R><volumeSet/></R>".to_owned()))));
    assert_eq!(
        refused(&mut volumes).await.0,
        ErrorClass::Unsettled,
        "an answer without it counts alike"
    );
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(refused(&mut volumes).await.0, ErrorClass::Permanent);
}

#[tokio::test(start_paused = true)]
async fn role_that_cannot_be_assumed_is_permanent_with_the_remedy_code_and_message() {
    let fake = Fake::in_memory();
    for (code, remedy) in [
        (
            "AssumeRoleUnauthorizedAccess",
            "let ec2.amazonaws.com assume the role collator by its trust policy",
        ),
        (
            "Failed",
            "check the role collator and the instance profile that names it",
        ),
    ] {
        let said = "EC2 cannot assume the role collator.";
        let document = format!(r#"{{"Code":"{code}","Message":"{said}","LastUpdated":"2026-11-30T00:00:00Z"}}"#);
        fake.set(ROLE, &document);
        let (class, text) = refused(&mut volumes(&fake)).await;
        assert_eq!(class, ErrorClass::Permanent);
        assert!(text.starts_with(remedy), "{text}");
        assert!(text.contains(code) && text.contains(said), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn instance_without_role_is_believed_after_a_new_profile_had_time() {
    let fake = Fake::in_memory();
    fake.script(|s| s.respond = Some(Respond(|_, _, _| described())));
    fake.remove(ROLES);
    let mut asked = volumes(&fake);
    assert_eq!(refused(&mut asked).await.0, ErrorClass::Unsettled);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (class, text) = refused(&mut asked).await;
    assert_eq!(class, ErrorClass::Permanent);
    assert!(text.contains("give it an instance profile"), "{text}");
    fake.set(ROLES, "collator");
    assert_eq!(asked.attachment(VOLUME).await.unwrap(), Attachment::Free);
}

#[tokio::test(start_paused = true)]
async fn throttling_outages_and_garbage_are_never_believed() {
    let fake = Fake::in_memory();
    let mut asked = volumes(&fake);
    for respond in [
        Respond(|_, _, _| error("RequestLimitExceeded", "")),
        Respond(|_, _, _| (503, String::new())),
    ] {
        fake.script(|s| s.respond = Some(respond));
        for _ in 0..3 {
            assert_eq!(refused(&mut asked).await.0, ErrorClass::Transient);
            tokio::time::sleep(Duration::from_mins(5)).await;
        }
    }
    for answer in [Answer::Status(500), Answer::Status(429), Answer::Text("{}".to_owned())] {
        fake.answer(ROLE, answer);
        assert_eq!(refused(&mut volumes(&fake)).await.0, ErrorClass::Transient);
    }
}

#[tokio::test(start_paused = true)]
async fn refused_permission_is_permanent_at_once() {
    let fake = Fake::in_memory();
    fake.script(|s| s.respond = Some(Respond(|_, _, _| error("UnauthorizedOperation", "not you"))));
    let mut volumes = volumes(&fake);
    let (class, text) = refused(&mut volumes).await;
    assert_eq!(class, ErrorClass::Permanent);
    assert!(
        text.starts_with("allow ec2:DescribeVolumes to the instance's role"),
        "{text}"
    );
    let text = volumes.attach(VOLUME, "/dev/sdp").await.unwrap_err().to_string();
    assert!(
        text.starts_with("allow ec2:AttachVolume to the instance's role"),
        "{text}"
    );
}
