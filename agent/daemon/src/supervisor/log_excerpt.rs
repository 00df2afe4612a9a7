//! The log lines that the core is given while a chain does not move.

use std::collections::BTreeSet;

use agent_core::informant::{Informant, SyncPhase};

/// Most lines of one excerpt.
const LINES: usize = 20;
/// Most characters of one line.
const LINE_CHARS: usize = 400;

/// The newest informant line of each chain, and the newest other lines except those about imported blocks; oldest first.
pub(super) fn excerpt(lines: &[&str]) -> Vec<String> {
    let (mut chains, mut kept, mut others) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (index, line) in lines.iter().enumerate().rev() {
        // Work on the database is logged once; the chain of such a line has an informant line besides.
        match Informant::parse(line).filter(|informant| informant.phase != SyncPhase::Database) {
            Some(informant) if chains.insert(informant.chain) => {
                kept.insert(index);
            }
            Some(_) => {}
            None if line.trim().is_empty() || line.contains("Imported #") => {}
            None => others.push(index),
        }
    }
    let room = LINES - kept.len();
    kept.extend(others.into_iter().take(room));
    let cut = |index: usize| lines[index].trim_end().chars().take(LINE_CHARS).collect();
    kept.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARA: &str = "[Parachain] 💤 Idle (1 peers), best: #7 (0x1…2), finalized #7 (0x1…2), ⬇ 0 ⬆ 0";
    const RELAY: &str = "[Relaychain] 💤 Idle (1 peers), best: #9 (0x1…2), finalized #9 (0x1…2), ⬇ 0 ⬆ 0";

    #[test]
    fn excerpt_has_the_newest_informant_line_of_each_chain() {
        let newer = PARA.replace("#7", "#8");
        let lines = [PARA, RELAY, "warning", &newer];
        assert_eq!(excerpt(&lines), [RELAY, "warning", &newer]);
    }

    #[test]
    fn excerpt_leaves_out_imported_blocks_and_empty_lines() {
        let lines = [
            "[🌗] ✨ Imported #7 (0xd0b4…45a0)",
            "",
            "a",
            "[🌗] 🏆 Imported #8 (0x27d4…5814 → 0x5365…2c44)",
        ];
        assert_eq!(excerpt(&lines), ["a"]);
        assert!(excerpt(&[]).is_empty());
    }

    #[test]
    fn excerpt_keeps_informant_lines_however_old_beside_the_newest_others() {
        let others: Vec<String> = (0..58).map(|n| format!("line {n}")).collect();
        let mut lines = vec![PARA, RELAY];
        lines.extend(others.iter().map(String::as_str));
        let excerpt = excerpt(&lines);
        assert_eq!(excerpt.len(), LINES);
        assert_eq!(excerpt[..3], [PARA, RELAY, "line 40"]);
        assert_eq!(excerpt[LINES - 1], "line 57");
    }

    #[test]
    fn excerpt_keeps_a_line_about_the_database_beside_an_informant_line() {
        let reindex = "2023-01-19 14:08:27.060  INFO main parity-db: Started reindex for 09-18";
        let idle = PARA.replace("[Parachain] ", "");
        assert_eq!(excerpt(&[reindex, &idle]), [reindex, &idle]);
    }

    #[test]
    fn excerpt_cuts_long_lines_at_a_character() {
        let long = "…".repeat(LINE_CHARS + 1);
        assert_eq!(excerpt(&[&long]), ["…".repeat(LINE_CHARS)]);
    }
}
