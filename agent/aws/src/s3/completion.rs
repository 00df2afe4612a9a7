//! The completion of a multipart upload: carried out once, whatever becomes of its answers.

use md5::{Digest as _, Md5};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use reqwest::StatusCode;
use tracing::warn;

use super::{S3Bucket, S3Error, path};
use crate::transport::element;

/// What was at the key before a completion.
enum Before {
    /// An object with this entity tag, or nothing.
    Tag(Option<String>),
    Unknown,
}

impl S3Bucket {
    /// Completes an upload of `size` bytes, which makes the object visible. `tags` are what [`S3Bucket::upload_part`]
    /// returned for its parts.
    ///
    /// A completion whose answer is lost may have been carried out, and the next attempt then finds no upload: the object is
    /// looked at before that is called a failure.
    pub async fn complete_upload(&self, key: &str, upload: &String, tags: &[String], size: u64) -> Result<(), S3Error> {
        let path = path(key)?;
        let before = match self.head(&path).await {
            Ok(found) => Before::Tag(found.and_then(|object| object.e_tag)),
            Err(_) => Before::Unknown,
        };
        let parts = || {
            let content = tags.iter().cloned();
            content.map(|content_id| PartId { content_id }).collect()
        };
        let end = || self.store.complete_multipart(&path, upload, parts());
        let Err(error) = self.call("CompleteMultipartUpload", end).await else {
            return Ok(());
        };
        let may_be_done = error.is_no_upload() || error.is_transient();
        let found = if may_be_done {
            self.head(&path).await.ok().flatten()
        } else {
            None
        };
        match found {
            Some(object) if is_whole(&object, size, tags, &before) => {
                warn!(%error, "the answer to the upload's completion was lost, and the object is whole");
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// The object at a key; `None` where there is none. S3 answers 403 for that where the keys may not be listed.
    async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, S3Error> {
        match self.call("HeadObject", || self.store.head(path)).await {
            Ok(found) => Ok(Some(found)),
            Err(S3Error::Answered(_, answer))
                if [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&answer.status) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether an object is the one that was uploaded: as large, and with the entity tag of its parts or one that was not
/// there before. Of objects that are encrypted with KMS, the tags of the parts do not give the object's.
fn is_whole(object: &ObjectMeta, size: u64, tags: &[String], before: &Before) -> bool {
    let is_new = matches!(before, Before::Tag(tag) if *tag != object.e_tag);
    let is_ours = object.e_tag.as_deref().map(unquoted) == whole_tag(tags).as_deref();
    object.size == size && (is_new || is_ours)
}

/// The entity tag of an object that is not encrypted with KMS, from those of its parts.
fn whole_tag(tags: &[String]) -> Option<String> {
    let mut digests = Md5::new();
    for tag in tags {
        // With a checksum, `object_store` keeps it and the entity tag as XML.
        let tag = element(tag, "e_tag").unwrap_or_else(|| tag.clone());
        digests.update(hex::decode(unquoted(&tag)).ok()?);
    }
    Some(format!("{}-{}", hex::encode(digests.finalize()), tags.len()))
}

fn unquoted(tag: &str) -> &str {
    tag.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tag_of_the_whole_is_that_of_its_parts() {
        let (first, second) = (
            "\"5d41402abc4b2a76b9719d911017c592\"",
            "7d793037a0760186574b0282f2f435e7",
        );
        let with_checksum =
            format!("<PartMetadata><e_tag>{second}</e_tag><checksum_sha256>x</checksum_sha256></PartMetadata>");
        for second in [second.to_owned(), with_checksum] {
            let tag = whole_tag(&[first.to_owned(), second]);
            assert_eq!(tag.as_deref(), Some("065947336a2f2a95ba8899f3675c3be6-2"));
        }
        assert_eq!(whole_tag(&["\"no digest\"".to_owned()]), None);
    }
}
