//! Signatures over a manifest, as the tool minisign makes and verifies them: made without a prehash, verified with or
//! without. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{Error, Signature};
use ring::signature::Ed25519KeyPair;

/// Ed25519 over the message itself; `ED` is over its hash.
const ALGORITHM: &[u8] = b"Ed";
/// Length of a key's number, by which keys and signatures are matched.
const NUMBER: usize = 8;
const COMMENT: &str = "trusted comment: ";

/// Why a key or a signature is refused. No message shows a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("no secret key of minisign: make one with minisign -G -W")]
    NoSecretKey,
    #[error("the secret key is encrypted with a password: make one without (minisign -G -W), readable by root alone")]
    Encrypted,
    #[error("no public key of minisign: give the file or the line that minisign -G wrote")]
    NoPublicKey,
    #[error("the snapshot carries no signature, and one was asked for (--public-key)")]
    Missing,
    #[error("the signature cannot be read")]
    Damaged,
    #[error("the signature was made with another key than the one that was given")]
    OtherKey,
    #[error("the signature is wrong: the manifest is not what was signed")]
    Wrong,
}

pub struct SecretKey {
    number: [u8; NUMBER],
    pair: Ed25519KeyPair,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(minisign_verify::PublicKey);

impl SecretKey {
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let bytes = line(text).and_then(|line| STANDARD.decode(line).ok());
        let bytes = bytes.ok_or(SignatureError::NoSecretKey)?;
        // Algorithm, how it is encrypted, kind of checksum, 48 bytes for the password, number, key, checksum.
        if bytes.len() != 158 || !bytes.starts_with(ALGORITHM) {
            return Err(SignatureError::NoSecretKey);
        }
        if bytes[2..4] != [0, 0] {
            return Err(SignatureError::Encrypted);
        }
        let number = bytes[54..62].try_into().map_err(|_| SignatureError::NoSecretKey)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes[62..94], &bytes[94..126]);
        let pair = pair.map_err(|_| SignatureError::NoSecretKey)?;
        Ok(Self { number, pair })
    }

    /// The text of a signature file for `message`.
    pub(crate) fn sign(&self, message: &[u8], comment: &str) -> String {
        let signature = self.pair.sign(message);
        let bytes = [ALGORITHM, &self.number, signature.as_ref()].concat();
        let whole = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        format!(
            "untrusted comment: signature of a t0rn-agent snapshot\n{}\n{COMMENT}{comment}\n{}\n",
            STANDARD.encode(bytes),
            STANDARD.encode(whole)
        )
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey").finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads a public key file, or its second line alone.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let key = line(text).and_then(|line| minisign_verify::PublicKey::from_base64(line).ok());
        key.map(Self).ok_or(SignatureError::NoPublicKey)
    }

    /// Whether `signature`, the text of a signature file, is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &str) -> Result<(), SignatureError> {
        let verified = Signature::decode(signature).and_then(|signature| self.0.verify(message, &signature, true));
        verified.map_err(|error| match error {
            Error::UnexpectedKeyId => SignatureError::OtherKey,
            Error::InvalidSignature => SignatureError::Wrong,
            _ => SignatureError::Damaged,
        })
    }
}

fn line(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.contains("comment:"))
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use ring::signature::KeyPair as _;

    /// A key pair as the tool writes it: secret and public.
    pub(crate) fn keys(seed: u8) -> (String, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = pair.public_key().as_ref();
        let number = [seed; NUMBER];
        let secret = [b"Ed\0\0B2".as_slice(), &[0; 48], &number, &[seed; 32], public, &[0; 32]].concat();
        let public = [ALGORITHM, &number, public].concat();
        let file = |bytes: Vec<u8>| format!("untrusted comment: a key\n{}\n", STANDARD.encode(bytes));
        (file(secret), file(public))
    }

    #[test]
    fn signature_of_other_text_or_key_is_refused() {
        let (secret, public) = keys(7);
        let signature = SecretKey::parse(&secret).unwrap().sign(b"text", "made today");
        let key = PublicKey::parse(&public).unwrap();
        assert_eq!(key.verify(b"text", &signature), Ok(()));
        assert_eq!(PublicKey::parse(public.lines().nth(1).unwrap()).unwrap(), key);
        assert_eq!(key.verify(b"texts", &signature), Err(SignatureError::Wrong));
        let other = signature.replace("made today", "made later");
        assert_eq!(key.verify(b"text", &other), Err(SignatureError::Wrong));
        let other = PublicKey::parse(&keys(8).1).unwrap();
        assert_eq!(other.verify(b"text", &signature), Err(SignatureError::OtherKey));
        assert_eq!(key.verify(b"text", "nothing"), Err(SignatureError::Damaged));
        let unknown = signature.replacen("\nRW", "\nRX", 1);
        assert_eq!(key.verify(b"text", &unknown), Err(SignatureError::Damaged));
    }

    /// `text`, signed by minisign 0.11 with its default, which hashes first.
    #[test]
    fn prehashed_signature_of_minisign_holds_for_its_text_alone() {
        let key = PublicKey::parse("RWQOzgbdRrapP5vtc4UG8IE1LrvsuFaIsNVIS8+f/I02ifwx4/JHavK7").unwrap();
        let signature = "untrusted comment: a signature\n\
            RUQOzgbdRrapP9FghBknuLZS92lIgz7R22sxHfuDwEAcE+EAKnVVjgddLpeUD/ffAWbQ6T3tS9oAxWD0RzxXDagqd7PwaU9OoA8=\n\
            trusted comment: made today\n\
            ZxXAmI5MtBPOnAezM0ensB/O4IBFI+OCglhaZxTJyd86enQwAI+1FcrAM3A0GwTJO/M65/na5iWB/T0cCzfgBA==\n";
        assert_eq!(key.verify(b"text", signature), Ok(()));
        assert_eq!(key.verify(b"texts", signature), Err(SignatureError::Wrong));
        let as_if_not_hashed = signature.replace("RUQOz", "RWQOz");
        assert_eq!(key.verify(b"text", &as_if_not_hashed), Err(SignatureError::Wrong));
    }

    #[test]
    fn secret_key_with_password_refused_with_remedy() {
        let secret = keys(7).0;
        let mut bytes = STANDARD.decode(line(&secret).unwrap()).unwrap();
        bytes[2..4].copy_from_slice(b"Sc");
        let refused = SecretKey::parse(&STANDARD.encode(bytes)).unwrap_err();
        assert!(refused.to_string().contains("minisign -G -W"), "{refused}");
    }
}
