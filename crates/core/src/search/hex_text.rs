//! Fingerprints as texts in files: 16 hexadecimal digits.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes a fingerprint, for serde's `with`.
///
/// # Errors
/// If the serializer fails.
pub fn serialize<S: Serializer>(fingerprint: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::trace::hex(*fingerprint))
}

/// Reads a fingerprint, for serde's `with`.
///
/// # Errors
/// If it is no text of 16 digits.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    let number = is_hex.then(|| u64::from_str_radix(&text, 16).ok()).flatten();
    number.ok_or_else(|| Error::custom("expected a fingerprint of 16 hexadecimal digits"))
}
