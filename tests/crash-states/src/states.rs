//! Enumerates the states that a power cut may leave.

use std::collections::HashSet;

use anyhow::Result;

use crate::Progress;
use crate::disk::{Disk, Part};
use crate::recording::{Recorded, Recording};

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tried {
    pub operations: usize,
    /// Moments at which the power was cut.
    pub moments: usize,
    pub states: usize,
    /// States that differ in content or progress.
    pub distinct: usize,
}

/// Calls `verify` with each distinct state, and at most `limit` combinations at each moment.
pub(crate) fn each(
    recording: &Recording,
    limit: usize,
    tried: &mut Tried,
    mut verify: impl FnMut(&Disk, Progress, &dyn Fn() -> String) -> Result<()>,
) -> Result<()> {
    tried.operations = recording.changes.len();
    let mut seen = HashSet::new();
    for (moment, (progress, what)) in recording.moments.iter().enumerate() {
        tried.moments += 1;
        let made: Vec<&Recorded> = recording
            .changes
            .iter()
            .filter(|change| change.made <= moment)
            .collect();
        let is_durable = |change: &Recorded| change.durable.is_some_and(|at| at <= moment);
        let pending: Vec<usize> = (0..made.len()).filter(|index| !is_durable(made[*index])).collect();
        let choices: Vec<Vec<Part>> = pending.iter().map(|index| made[*index].change.parts()).collect();
        for chosen in combinations(&choices, limit) {
            tried.states += 1;
            let mut disk = recording.before.clone();
            let mut parts = pending.iter().zip(&chosen).peekable();
            for (index, recorded) in made.iter().enumerate() {
                let part = parts
                    .next_if(|(pending, _)| **pending == index)
                    .map_or(Part::Whole, |(_, part)| *part);
                disk.apply(&recorded.change, part);
            }
            if !seen.insert((disk.fingerprint(), *progress)) {
                continue;
            }
            tried.distinct += 1;
            let describe = || {
                let partial = pending.iter().zip(&chosen).filter(|(_, part)| **part != Part::Whole);
                let partial = partial.map(|(index, part)| format!("{part:?}: {}", made[*index].change.describe()));
                format!(
                    "after {what} (moment {moment}): {}",
                    partial.collect::<Vec<_>>().join("; ")
                )
            };
            verify(&disk, *progress, &describe)?;
        }
    }
    Ok(())
}

/// All combinations, one of each list. Where they are more than `limit`: all whole, all lost, each single one lost, each single
/// one there, and each prefix, however many these are; then tears, pairs of losses and a sample, up to the limit.
fn combinations(choices: &[Vec<Part>], limit: usize) -> Vec<Vec<Part>> {
    let all = choices
        .iter()
        .try_fold(1_usize, |count, parts| count.checked_mul(parts.len()));
    if let Some(count) = all.filter(|count| *count <= limit) {
        return (0..count).map(|number| nth(choices, number)).collect();
    }
    let (whole, lost) = (vec![Part::Whole; choices.len()], vec![Part::Lost; choices.len()]);
    let (mut found, mut others) = (vec![whole.clone(), lost.clone()], Vec::new());
    for (index, parts) in choices.iter().enumerate() {
        found.push([&whole[..index], &lost[index..]].concat());
        for part in parts {
            for base in [&whole, &lost] {
                let mut one = base.clone();
                one[index] = *part;
                let into = if matches!(part, Part::Whole | Part::Lost) {
                    &mut found
                } else {
                    &mut others
                };
                into.push(one);
            }
        }
        for second in index + 1..choices.len() {
            let mut pair = whole.clone();
            (pair[index], pair[second]) = (Part::Lost, Part::Lost);
            others.push(pair);
        }
    }
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below.max(1) as u64).unwrap_or(0)
    };
    // Half of what is left of the limit for each.
    let most = limit.saturating_sub(found.len());
    while others.len() > most / 2 {
        others.swap_remove(draw(others.len()));
    }
    found.append(&mut others);
    while found.len() < limit {
        // Of most, so that what is below a name that is lost is not all that differs.
        let part = |parts: &Vec<Part>| parts[if draw(4) > 0 { 0 } else { draw(parts.len()) }];
        found.push(choices.iter().map(part).collect());
    }
    found
}

fn nth(choices: &[Vec<Part>], mut number: usize) -> Vec<Part> {
    let mut chosen = Vec::with_capacity(choices.len());
    for parts in choices {
        chosen.push(parts[number % parts.len()]);
        number /= parts.len();
    }
    chosen
}
