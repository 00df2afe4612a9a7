//! One EBS volume: who has it, and having it or giving it back.

use serde::Deserialize;

use super::api::EC2;
use super::caller::Caller;

/// The EC2 API as this instance may use it.
#[derive(Debug)]
pub struct Volumes(Caller);

/// Who has a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// Nobody.
    Free,
    /// This instance, and nobody else.
    Here,
    /// This instance, not yet or not much longer; the word of the API.
    Changing(String),
    /// Another instance.
    Elsewhere(String),
}

impl Volumes {
    /// `imds` is the base of the metadata service, `endpoint` the API's where it is not the region's own.
    pub fn new(imds: &str, endpoint: Option<String>) -> Self {
        Self(Caller::new(EC2, imds, endpoint))
    }

    /// This instance's id. Fails with the reason while nobody tells.
    pub async fn instance(&mut self) -> Result<String, String> {
        self.0.instance().await.map_err(|trouble| trouble.to_string())
    }

    /// Who has the volume. Fails with the reason when that cannot be told.
    pub async fn attachment(&mut self, volume: &str) -> Result<Attachment, String> {
        let xml = self.call("DescribeVolumes", &[("VolumeId.1", volume)]).await?;
        let instance = self.instance().await?;
        read(&xml, volume, &instance).ok_or_else(|| format!("DescribeVolumes does not tell of {volume}"))
    }

    /// Asks for the volume as `device`; it is there a moment later. Fails with the reason.
    pub async fn attach(&mut self, volume: &str, device: &str) -> Result<(), String> {
        let instance = self.instance().await?;
        let params = [
            ("VolumeId", volume),
            ("InstanceId", instance.as_str()),
            ("Device", device),
        ];
        self.call("AttachVolume", &params).await.map(drop)
    }

    /// Gives it back; never by force. Fails with the reason.
    pub async fn detach(&mut self, volume: &str) -> Result<(), String> {
        let instance = self.instance().await?;
        let params = [("VolumeId", volume), ("InstanceId", instance.as_str())];
        self.call("DetachVolume", &params).await.map(drop)
    }

    async fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, String> {
        self.0.call(action, params).await.map_err(|trouble| trouble.to_string())
    }
}

/// The answer to `DescribeVolumes`.
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

/// What the answer says about `volume`; `None` when it says nothing.
fn read(xml: &str, volume: &str, here: &str) -> Option<Attachment> {
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
            // With one volume on two instances there is no fence.
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
    fn only_a_volume_that_this_instance_alone_has_is_here() {
        let of = |attachments: &[(&str, &str)]| read(&answer(attachments), "vol-1", "i-me");
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
    fn an_answer_about_another_volume_or_cut_short_says_nothing() {
        let xml = answer(&[("i-me", "attached")]);
        assert_eq!(read(&xml, "vol-2", "i-me"), None);
        assert_eq!(read(&xml[..xml.len() / 2], "vol-1", "i-me"), None);
        assert_eq!(read("", "vol-1", "i-me"), None);
    }
}
