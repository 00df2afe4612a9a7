//! The heights of a recording as a drawing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agent_core::event::{Chain, Event};
use agent_core::trace::{Record, parse_line};

/// Size of a drawing in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// Time in milliseconds, and height.
type Line = Vec<(u64, u64)>;

/// A drawing for each chain: its best block, and dashed its target, over the recorded time. Markup of numbers alone.
pub(super) fn heights(flight: &str) -> String {
    let mut chains: BTreeMap<Chain, [Line; 2]> = BTreeMap::new();
    for line in flight.lines() {
        if let Ok((time, Record::Event(Event::Sample { chain, sample }))) = parse_line(line.as_bytes()) {
            let lines = chains.entry(chain).or_default();
            for (line, height) in lines.iter_mut().zip([sample.best, sample.target]) {
                line.extend(height.map(|height| (time.0, height)));
            }
        }
    }
    let mut out = String::new();
    for (chain, lines) in &chains {
        let points = || lines.iter().flatten();
        let times = points().map(|(time, _)| *time);
        let heights = points().map(|(_, height)| *height);
        let (Some(begin), Some(end)) = (times.clone().min(), times.max()) else {
            continue;
        };
        let (Some(low), Some(high)) = (heights.clone().min(), heights.max()) else {
            continue;
        };
        let name = chain.into_str();
        let minutes = (end - begin) / 60_000;
        let [best, _] = lines;
        let stood = best
            .last()
            .map_or_else(|| "?".to_owned(), |(_, height)| height.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<p>{name}: from {low} to {high} in {minutes} min, best at last {stood} (target dashed)</p>\n\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"heights of the {name}\">"
        );
        for (line, class) in lines.iter().zip(["best", "target"]) {
            let _ = write!(out, "<polyline class=\"{class}\" points=\"");
            for (time, height) in line {
                let x = share(time - begin, end - begin) * WIDTH;
                let y = HEIGHT - share(height - low, high - low) * HEIGHT;
                let _ = write!(out, "{x:.1},{y:.1} ");
            }
            out.push_str("\"/>\n");
        }
        out.push_str("</svg>\n");
    }
    if out.is_empty() {
        out.push_str("<p>No sample was recorded.</p>\n");
    }
    out
}

/// A part of a whole; half when the whole is nothing.
#[expect(clippy::cast_precision_loss, reason = "a pixel is coarser")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.5 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_has_a_line_for_best_and_target_of_each_chain() {
        let flight = "{\"t\":10,\"event\":\"sample\",\"chain\":\"parachain\",\"best\":100,\"target\":200}\n\
                      {\"t\":70,\"event\":\"sample\",\"chain\":\"parachain\",\"best\":150,\"target\":200}\n<script>\n";
        let drawn = heights(flight);
        assert!(
            drawn.contains("parachain: from 100 to 200 in 1 min, best at last 150"),
            "{drawn}"
        );
        assert!(
            drawn.contains("class=\"best\" points=\"0.0,100.0 600.0,50.0 \""),
            "{drawn}"
        );
        assert!(
            drawn.contains("class=\"target\" points=\"0.0,0.0 600.0,0.0 \""),
            "{drawn}"
        );
        assert!(!drawn.contains("relaychain") && !drawn.contains("script"), "{drawn}");
        assert_eq!(heights("not a trace"), "<p>No sample was recorded.</p>\n");
    }
}
