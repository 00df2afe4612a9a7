//! The layers of an error that Docker passes on as one text.
//!
//! Docker, containerd and runc are written in Go, where each layer puts its own words before those of the layer below:
//! `outer: inner: innermost`. A layer as a whole means something; a word somewhere in the text does not.

/// The layers of `text`, outermost first. A colon within double quotes separates nothing.
pub(crate) fn layers(text: &str) -> Vec<&str> {
    let mut layers = Vec::new();
    let (mut begin, mut quoted) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ':' if !quoted && text[at + 1..].starts_with(char::is_whitespace) => {
                layers.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    layers.push(text[begin..].trim());
    layers
}

/// Whether one of the layers begins with these words.
pub(crate) fn begins(layers: &[&str], words: &[&str]) -> bool {
    layers
        .iter()
        .any(|layer| words.iter().any(|words| layer.starts_with(words)))
}

/// Whether one of the layers is one of these texts.
pub(crate) fn has(layers: &[&str], texts: &[&str]) -> bool {
    layers.iter().any(|layer| texts.contains(layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_at_colons_outside_of_quotes() {
        assert_eq!(
            layers("Head \"https://r:5000/v2/: x\": dial tcp 10.0.0.1:443: i/o timeout\n"),
            ["Head \"https://r:5000/v2/: x\"", "dial tcp 10.0.0.1:443", "i/o timeout"]
        );
        assert_eq!(layers(""), [""]);
        assert_eq!(layers("a: \"b: c"), ["a", "\"b: c"]);
    }

    #[test]
    fn words_within_a_layer_are_no_layer() {
        let layers = layers("failed to register layer: open /bin/denied: permission denied");
        assert!(!has(&layers, &["denied"]) && !begins(&layers, &["denied"]));
        assert!(has(&layers, &["permission denied"]));
    }
}
