//! One EBS volume: where it is attached, attaching and detaching it.

use std::fmt;

use serde::Deserialize;

use super::api::EC2;
use super::client::{AwsClient, CallError};
use super::consistency::{ErrorClass, NOT_FOUND, Patience};
use super::imds::ImdsError;

/// Client of the EC2 API's volume calls.
#[derive(Debug)]
pub struct Volumes {
    client: AwsClient,
    /// Since when the volume or the role is not found.
    not_found: Patience,
}

/// Why a call about a volume failed.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the answer to DescribeVolumes has no {0}")]
    NotListed(String),
    /// For longer than a new volume takes to be known.
    #[error("correct identity.volume: EC2 knows no {volume} in this region and account ({error})")]
    NoVolume { volume: String, error: String },
    /// For longer than a new role takes.
    #[error(transparent)]
    NoRole(ImdsError),
}

impl VolumeError {
    /// What it says about the same call a moment later.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Call(error) => error.class(),
            Self::NotListed(_) => ErrorClass::Unsettled,
            Self::NoVolume { .. } | Self::NoRole(_) => ErrorClass::Permanent,
        }
    }

    /// That what was configured is not found, after it was asked for again.
    fn believed(self, volume: &str) -> Self {
        match self {
            Self::Call(CallError::Imds(error)) => Self::NoRole(error),
            error => Self::NoVolume {
                volume: volume.to_owned(),
                error: error.to_string(),
            },
        }
    }
}

/// Where a volume is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// Not attached.
    Free,
    /// To this instance only.
    Here,
    /// To this instance, in a transitional state of the API (`attaching`, `detaching`, …).
    Changing(String),
    /// To another instance.
    Elsewhere(String),
}

impl fmt::Display for Attachment {
    /// What comes after "the volume is".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("not attached"),
            Self::Here => f.write_str("attached to this instance"),
            Self::Changing(state) => f.write_str(state),
            Self::Elsewhere(instance) => write!(f, "attached to {instance}"),
        }
    }
}

impl Volumes {
    /// `imds` is the base URL of the metadata service, `endpoint` the API's where it is not the region's own.
    pub fn new(imds: &str, endpoint: Option<String>) -> Self {
        Self {
            client: AwsClient::new(EC2, imds, endpoint),
            not_found: Patience::new(NOT_FOUND),
        }
    }

    /// This instance's id.
    pub async fn instance(&mut self) -> Result<String, VolumeError> {
        Ok(self.client.instance().await?)
    }

    /// Where the volume is attached. That something of what was configured is not found is [`ErrorClass::Unsettled`] at
    /// first, and [`ErrorClass::Permanent`] after [`NOT_FOUND`].
    pub async fn attachment(&mut self, volume: &str) -> Result<Attachment, VolumeError> {
        let found = self.describe(volume).await;
        match found {
            Err(error) if error.class() == ErrorClass::Unsettled => Err(if self.not_found.is_over() {
                error.believed(volume)
            } else {
                error
            }),
            found => {
                self.not_found.reset();
                found
            }
        }
    }

    async fn describe(&mut self, volume: &str) -> Result<Attachment, VolumeError> {
        let xml = self.client.call("DescribeVolumes", &[("VolumeId.1", volume)]).await?;
        let instance = self.instance().await?;
        parse(&xml, volume, &instance).ok_or_else(|| VolumeError::NotListed(volume.to_owned()))
    }

    /// Requests the volume as `device`; it is attached a moment later.
    pub async fn attach(&mut self, volume: &str, device: &str) -> Result<(), VolumeError> {
        let instance = self.instance().await?;
        let params = [
            ("VolumeId", volume),
            ("InstanceId", instance.as_str()),
            ("Device", device),
        ];
        self.client.call("AttachVolume", &params).await?;
        Ok(())
    }

    /// Requests that the volume is detached, never by force.
    pub async fn detach(&mut self, volume: &str) -> Result<(), VolumeError> {
        let instance = self.instance().await?;
        let params = [("VolumeId", volume), ("InstanceId", instance.as_str())];
        self.client.call("DetachVolume", &params).await?;
        Ok(())
    }
}

/// The response to `DescribeVolumes`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeVolumes {
    volume_set: Items<VolumeItem>,
}

#[derive(Deserialize)]
struct Items<T> {
    #[serde(default = "Vec::new")]
    item: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeItem {
    volume_id: String,
    attachment_set: Items<AttachmentItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentItem {
    instance_id: String,
    status: String,
}

/// The attachment of `volume`; `None` when the response does not list it.
pub(super) fn parse(xml: &str, volume: &str, here: &str) -> Option<Attachment> {
    let answer: DescribeVolumes = quick_xml::de::from_str(xml).ok()?;
    let found = answer
        .volume_set
        .item
        .into_iter()
        .find(|item| item.volume_id == volume)?;
    let mut attachment = Attachment::Free;
    for item in found.attachment_set.item {
        match item.status.as_str() {
            "detached" => {}
            // A volume attached to two instances fences nothing.
            _ if item.instance_id != here => return Some(Attachment::Elsewhere(item.instance_id)),
            "attached" => attachment = Attachment::Here,
            _ => attachment = Attachment::Changing(item.status),
        }
    }
    Some(attachment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(attachments: &[(&str, &str)]) -> String {
        let items = attachments.iter().fold(String::new(), |text, (instance, status)| {
            text + &format!(
                "<item><volumeId>vol-1</volumeId><instanceId>{instance}</instanceId><device>/dev/sdf</device>\
                 <status>{status}</status></item>"
            )
        });
        format!(
            "<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId><status>in-use</status>\
             <attachmentSet>{items}</attachmentSet></item></volumeSet></DescribeVolumesResponse>"
        )
    }

    #[test]
    fn volume_is_here_only_when_attached_to_this_instance_alone() {
        let of = |attachments: &[(&str, &str)]| parse(&answer(attachments), "vol-1", "i-me");
        assert_eq!(of(&[]), Some(Attachment::Free));
        assert_eq!(of(&[("i-me", "attached")]), Some(Attachment::Here));
        assert_eq!(
            of(&[("i-me", "attaching")]),
            Some(Attachment::Changing("attaching".into()))
        );
        let other = Some(Attachment::Elsewhere("i-other".into()));
        assert_eq!(of(&[("i-other", "detaching")]), other);
        assert_eq!(of(&[("i-me", "attached"), ("i-other", "attached")]), other);
        assert_eq!(of(&[("i-other", "detached")]), Some(Attachment::Free));
    }

    #[test]
    fn response_about_another_volume_or_truncated_is_none() {
        let xml = answer(&[("i-me", "attached")]);
        assert_eq!(parse(&xml, "vol-2", "i-me"), None);
        assert_eq!(parse(&xml[..xml.len() / 2], "vol-1", "i-me"), None);
        assert_eq!(parse("", "vol-1", "i-me"), None);
    }
}
