//! Verifies chain data against its certificate, on any machine.

use std::collections::BTreeSet;
use std::path::Path;

use agent_core::units::counted;
use agent_files::printable;
use serde::Serialize;

use super::{Certificate, read_certificate};
use crate::survey::{ChainDir, Survey, TreeDigest, XATTRS, survey_data_dir};

#[derive(Debug, Serialize)]
pub struct VerifyReport {
    pub schema: u32,
    pub ok: bool,
    /// Each names the path and how it differs.
    pub differences: Vec<String>,
    /// Directories of chains in the data that the bake did not watch and the certificate does not cover.
    pub unwatched: Vec<String>,
    /// `None` when there is none, or none that can be read.
    pub certificate: Option<Certificate>,
}

/// Reads everything in `data` and compares it with its certificate. Blocks on the disk.
pub fn verify_certificate(data: &Path) -> VerifyReport {
    let (mut differences, mut unwatched) = (Vec::new(), Vec::new());
    let certificate = read_certificate(data)
        .map_err(|error| differences.push(error.to_string()))
        .ok();
    match (survey_data_dir(data, true), &certificate) {
        (Err(error), _) => differences.push(format!("{}: cannot be read: {error}", data.display())),
        (Ok(found), certificate) => {
            report_forbidden(&found, &mut differences);
            if let Some(certificate) = certificate {
                compare_chains(certificate, &found, &mut differences);
                let watched = |dir: &ChainDir| {
                    certificate
                        .chains
                        .values()
                        .any(|chain| dir.path == Path::new(&chain.path))
                };
                let others = found
                    .chains
                    .iter()
                    .filter(|dir| !dir.databases.is_empty() && !watched(dir));
                unwatched.extend(others.map(|dir| dir.path.display().to_string()));
            }
        }
    }
    VerifyReport {
        schema: super::SCHEMA,
        ok: differences.is_empty(),
        differences,
        unwatched,
        certificate,
    }
}

fn report_forbidden(found: &Survey, differences: &mut Vec<String>) {
    for (path, why) in &found.refused {
        differences.push(format!("{}: {why}", path.display()));
    }
    for path in &found.with_xattrs {
        differences.push(format!("{}: {}", path.display(), XATTRS));
    }
    for secret in &found.secrets {
        differences.push(format!(
            "{}: keys, which an image must not carry",
            secret.path.display()
        ));
    }
}

fn compare_chains(certificate: &Certificate, found: &Survey, differences: &mut Vec<String>) {
    if !certificate.stop.clean || certificate.stop.exit_code != 0 {
        differences.push(format!(
            "the node was not stopped cleanly: exit code {}",
            certificate.stop.exit_code
        ));
    }
    if certificate.chains.is_empty() {
        differences.push("the certificate names no chain".to_owned());
    }
    for (name, chain) in &certificate.chains {
        if chain.genesis.len() != 64 || !chain.genesis.bytes().all(|b| b.is_ascii_hexdigit()) {
            differences.push(format!(
                "the {}'s genesis is no hash: {}",
                name.into_str(),
                chain.genesis
            ));
        }
        let here = found.chains.iter().find(|dir| dir.path == Path::new(&chain.path));
        match here {
            None => differences.push(format!("{}: the {}'s data is missing", chain.path, name.into_str())),
            Some(dir) if dir.databases != [chain.database] => differences.push(format!(
                "{}: expected a {} database alone",
                chain.path,
                chain.database.into_str()
            )),
            Some(_) => {}
        }
    }
    compare_trees(&certificate.tree, &found.tree, differences);
}

fn compare_trees(then: &TreeDigest, now: &TreeDigest, differences: &mut Vec<String>) {
    let names: BTreeSet<_> = then.directories.keys().chain(now.directories.keys()).collect();
    for name in names {
        match (then.directories.get(name), now.directories.get(name)) {
            (Some(then), Some(now)) if then == now => {}
            (Some(then), Some(now)) if (then.files, then.bytes) == (now.files, now.bytes) => {
                differences.push(format!("{name}: a name, owner, permission or content has changed"));
            }
            (Some(then), Some(now)) => differences.push(format!(
                "{name}: {} with {}, certified are {} with {}",
                counted(now.files, "file"),
                counted(now.bytes, "byte"),
                then.files,
                then.bytes
            )),
            (Some(_), None) => differences.push(format!("{name}: the directory is missing")),
            (None, Some(_)) => differences.push(format!("{name}: a directory that was not certified")),
            (None, None) => {}
        }
    }
    if (then.files, then.bytes) != (now.files, now.bytes) {
        differences.push(format!(
            "it has {} with {}, certified are {} with {}",
            counted(now.files, "file"),
            counted(now.bytes, "byte"),
            then.files,
            then.bytes
        ));
    }
    if then.sha256 != now.sha256 {
        differences.push(format!(
            "the tree's sha256 is {}, certified is {}",
            now.sha256, then.sha256
        ));
    }
}

impl VerifyReport {
    /// Text for people: one line for each difference, or one that says ok.
    pub fn render(&self, data: &Path) -> String {
        match &self.certificate {
            Some(certificate) if self.ok => {
                let chains = certificate.chains.iter();
                let chains: Vec<_> = chains
                    .map(|(name, chain)| format!("{} {} #{}", name.into_str(), printable(&chain.id), chain.best))
                    .collect();
                let mut text = format!(
                    "{}: ok: {}, baked {}\n",
                    data.display(),
                    chains.join(", "),
                    certificate.at
                );
                for other in &self.unwatched {
                    text += &printable(other);
                    text += ": whole, but its height is not known: it was not watched\n";
                }
                text
            }
            _ => self.differences.iter().map(|line| printable(line) + "\n").collect(),
        }
    }
}
