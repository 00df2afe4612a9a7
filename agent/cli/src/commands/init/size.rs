//! Sizes as Docker's options write them.

/// `10m`, `1.5g`, `512 kb`, `1024`: units of powers of `base`.
pub(super) fn human_size(text: &str, base: u64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let each = base.pow(power);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut bytes = whole.parse::<u64>().ok()?.checked_mul(each)?;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 6)?;
        bytes = bytes.checked_add(fraction.parse::<u64>().ok()?.checked_mul(each)? / 10_u64.pow(digits))?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_docker_are_read() {
        for (text, base, bytes) in [
            ("1024", 1024, 1024),
            ("10m", 1000, 10_000_000),
            ("1.5g", 1024, 3 << 29),
            ("512 KiB", 1024, 512 << 10),
            ("8GB", 1024, 8 << 30),
            ("64b", 1000, 64),
        ] {
            assert_eq!(human_size(text, base), Some(bytes), "{text}");
        }
        for text in ["", "m", "1x", "99999999999999999999", "1.1234567g"] {
            assert_eq!(human_size(text, 1024), None, "{text}");
        }
    }
}
