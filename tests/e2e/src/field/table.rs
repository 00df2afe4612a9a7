//! The agent and the other policies side by side, over the same cases.

use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use super::judge::{self, Judgement};
use super::policies::OTHERS;
use super::{case, kinds};

/// The times in the labels are what the agent promises; the others are not held to them so strictly, seconds.
const GRACE: u64 = 900;

/// What one policy made of all cases of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    pub cases: usize,
    pub right: usize,
    pub missed: usize,
    pub excess: usize,
    pub harmful: usize,
}

impl Score {
    fn add(&mut self, right: bool, judgement: &Judgement) {
        self.cases += 1;
        self.right += usize::from(right);
        self.missed += usize::from(judgement.missed.is_some());
        self.excess += usize::from(judgement.excess.is_some());
        self.harmful += usize::from(judgement.harmful > 0);
    }

    fn sum(self, other: Self) -> Self {
        Self {
            cases: self.cases + other.cases,
            right: self.right + other.right,
            missed: self.missed + other.missed,
            excess: self.excess + other.excess,
            harmful: self.harmful + other.harmful,
        }
    }
}

/// One kind: the agent first, then the others in their order; and what the agent got wrong, by seed.
#[derive(Debug)]
pub struct Row {
    pub kind: &'static str,
    pub scores: Vec<Score>,
    pub wrong: Vec<(u64, String)>,
}

#[derive(Debug)]
pub struct Table {
    pub rows: Vec<Row>,
}

/// Names of the columns.
pub fn policies() -> impl Iterator<Item = &'static str> {
    std::iter::once("agent").chain(OTHERS.iter().map(|(name, _)| *name))
}

/// Judges seeds 0 to `seeds` of every kind whose name holds `filter`; `others` too, or the agent alone.
pub fn judge(seeds: u64, filter: &str, others: bool) -> Table {
    let chosen: Vec<_> = kinds().filter(|kind| kind.contains(filter)).collect();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut rows: Vec<_> = thread::scope(|scope| {
        let chosen = &chosen;
        let tasks: Vec<_> = (0..workers)
            .map(|worker| {
                let mine = chosen.iter().enumerate().skip(worker).step_by(workers);
                scope.spawn(move || {
                    mine.map(|(index, kind)| (index, row(kind, seeds, others)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        tasks
            .into_iter()
            .flat_map(|task| task.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    rows.sort_by_key(|(index, _)| *index);
    Table {
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

fn row(kind: &'static str, seeds: u64, others: bool) -> Row {
    let mut row = Row {
        kind,
        scores: vec![Score::default(); policies().count()],
        wrong: Vec::new(),
    };
    for case in (0..seeds).filter_map(|seed| case(kind, seed)) {
        let judged = catch_unwind(AssertUnwindSafe(|| case.label.judge(&judge::agent(&case))));
        let judgement = judged.unwrap_or_else(|_| Judgement::panicked());
        row.scores[0].add(judgement.is_right(), &judgement);
        if !judgement.is_right() {
            row.wrong.push((case.seed, judgement.text()));
        }
        for (score, (_, other)) in row.scores[1..].iter_mut().zip(OTHERS.iter().filter(|_| others)) {
            let judgement = case.label.judge_acts(&other(&case), GRACE);
            score.add(judgement.acts_right(), &judgement);
        }
    }
    row
}

impl Table {
    /// All kinds together.
    pub fn total(&self) -> Vec<Score> {
        let zero = vec![Score::default(); policies().count()];
        self.rows.iter().fold(zero, |total, row| {
            total
                .into_iter()
                .zip(&row.scores)
                .map(|(sum, score)| sum.sum(*score))
                .collect()
        })
    }

    /// What each policy gets right of each kind, then the sums.
    pub fn by_kind(&self) -> String {
        let line = |row: &Row| cells(row.kind, row.scores.iter().map(|s| format!("{}/{}", s.right, s.cases)));
        let lines: String = self.rows.iter().map(line).collect();
        format!(
            "{}{lines}{self}",
            cells("right of each kind", policies().map(str::to_owned))
        )
    }
}

type Count = fn(&Score) -> usize;

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let cases = total.first().map_or(0, |score| score.cases);
        let title = format!("{cases} cases of {} kinds", self.rows.len());
        f.write_str(&cells(&title, policies().map(str::to_owned)))?;
        let counts: [(&str, Count); 4] = [
            ("right", |s| s.right),
            ("missed", |s| s.missed),
            ("false", |s| s.excess),
            ("harmful", |s| s.harmful),
        ];
        for (name, count) in counts {
            f.write_str(&cells(name, total.iter().map(|score| count(score).to_string())))?;
        }
        Ok(())
    }
}

fn cells(name: &str, cells: impl Iterator<Item = String>) -> String {
    let mut line = format!("{name:<40}");
    for cell in cells {
        // Writing to a String cannot fail.
        let _ = write!(line, " {cell:>9}");
    }
    line + "\n"
}
