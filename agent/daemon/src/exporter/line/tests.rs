#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Read as _;

use proptest::prelude::*;

use super::oracle::Reference;
use super::*;

#[test]
fn allowed_line_is_read() {
    let line = SampleLine::parse(r#" a:b_1 { x = "1" , y="a,b}={\"c\\\n" , } 1.5e3 -17 "#).unwrap();
    assert_eq!((line.name.as_str(), line.value.to_string().as_str()), ("a_b_1", "1500"));
    assert_eq!(line.label("x").as_deref(), Some("1"));
    assert_eq!(line.label("y").as_deref(), Some("a,b}={\"c\\\n"));
    assert_eq!(line.label("z").as_deref(), None);
    for (text, value) in [
        ("a 1", 1.0),
        ("a{}\t-0.5", -0.5),
        ("a +Inf", f64::INFINITY),
        ("a{b=\"\"}2", 2.0),
    ] {
        assert_eq!(
            SampleLine::parse(text).unwrap().value.total_cmp(&value),
            Ordering::Equal,
            "{text}"
        );
    }
    assert!(SampleLine::parse("a NaN").unwrap().value.is_nan());
}

#[test]
fn malformed_line_is_none() {
    for text in [
        "",
        "a",
        "1a 1",
        "a b",
        "a 1 b",
        "a 1 2 3",
        "a 1 1.5",
        "{x=\"1\"} 1",
        "a{x=\"1\" 1",
        "a{x=1} 1",
        "a{x=\"1} 1",
        "a{x=\"1\"y=\"2\"} 1",
        "a{,} 1",
        "a{x} 1",
        "a 1 }",
        "a{}{} 1",
        "a,b 1",
        "a{x,y=\"1\"} 1",
        "a{x=\"1\\",
        "<html><body> 1",
    ] {
        assert_eq!(SampleLine::parse(text), None, "{text}");
    }
}

/// What a line says, for comparison; `None` when it has no sample, or a label twice, which the format forbids.
type Read = Option<(String, BTreeMap<String, String>, u64)>;

fn by_parser(text: &str) -> Read {
    let line = SampleLine::parse(text)?;
    let labels = line.labels.keys().map(|name| (name.clone(), line.label(name).unwrap()));
    Some((line.name.clone(), labels.collect(), bits(line.value)))
}

fn by_grammar(text: &str) -> Read {
    let line = Reference::parse(text)?;
    let count = line.labels.len();
    let labels: BTreeMap<_, _> = line
        .labels
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    (labels.len() == count).then(|| (line.name.replace(':', "_"), labels, bits(line.value)))
}

/// The same for every NaN.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN } else { value }.to_bits()
}

/// A label value as an exporter writes it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A line that the format allows.
fn allowed() -> impl Strategy<Value = String> {
    let blank = "[ \t]{0,2}";
    let value = prop_oneof![".{0,12}", "[,={}\"\\\\ \n:#a]{0,12}"];
    let label = (blank, "[a-z_][a-z0-9_]{0,6}", blank, blank, value, blank);
    let label = label.prop_map(|(a, name, b, c, value, d)| format!("{a}{name}{b}={c}\"{}\"{d}", escaped(&value)));
    let labels = (proptest::collection::vec(label, 0..4), "[ \t]?", "[ \t]{0,2}").prop_map(|(labels, a, b)| {
        let comma = if labels.is_empty() || a.is_empty() { "" } else { "," };
        format!("{a}{{{}{comma}{b}}}", labels.join(","))
    });
    let number = prop_oneof![
        "-?[0-9]{1,17}",
        "-?[0-9]\\.[0-9]{1,5}(e[+-]?[0-9]{1,2})?",
        "[+-]?Inf",
        "NaN"
    ];
    let time = proptest::option::of(any::<i64>());
    let name = "[a-zA-Z_:][a-zA-Z0-9_:]{0,12}";
    (blank, name, proptest::option::of(labels), blank, number, time, blank).prop_map(
        |(before, name, labels, gap, number, time, after)| {
            let labels = labels.unwrap_or_else(|| " ".to_owned());
            let time = time.map_or_else(String::new, |time| format!(" {time}"));
            format!("{before}{name}{labels}{gap}{number}{time}{after}")
        },
    )
}

#[test]
fn real_page_reads_as_by_the_grammar() {
    let pages: [(&[u8], usize); 2] = [
        (include_bytes!("../pages/t0rn-parachain.prom.gz"), 1328),
        (include_bytes!("../pages/rococo-relaychain-isolated.prom.gz"), 2107),
    ];
    for (page, samples) in pages {
        let mut text = String::new();
        flate2::read::GzDecoder::new(page).read_to_string(&mut text).unwrap();
        let mut count = 0;
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            assert_eq!(by_parser(line), by_grammar(line), "{line}");
            assert!(by_parser(line).is_some(), "{line}");
            count += 1;
        }
        assert_eq!(count, samples);
    }
}

proptest! {
    #[test]
    fn allowed_line_reads_as_by_the_grammar(line in allowed()) {
        // A line may have drawn one label name twice.
        prop_assume!(by_grammar(&line).is_some());
        prop_assert_eq!(by_parser(&line), by_grammar(&line), "{:?}", line);
    }

    #[test]
    fn damaged_line_reads_as_by_the_grammar_where_that_accepts_it(
        noise in "[ab:_1][ab:_1 {](x=\"|\"[,}]|[,={}\"\\\\ \t#é1]){0,20}",
        cut in any::<prop::sample::Index>(),
        allowed in allowed(),
    ) {
        let mut damaged: Vec<char> = allowed.chars().collect();
        damaged.remove(cut.index(damaged.len()));
        for line in [noise, damaged.into_iter().collect()] {
            let read = by_parser(&line);
            // The grammar does without a blank between name and value; no exporter does.
            let name_end = line.trim_start().find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
            let has_separator = name_end.is_some_and(|end| line.trim_start()[end..].starts_with([' ', '\t', '{']));
            if let Some(expected) = by_grammar(&line).filter(|_| has_separator) {
                prop_assert_eq!(read, Some(expected), "{:?}", line);
            }
        }
    }
}
