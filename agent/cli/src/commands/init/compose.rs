//! A service of a compose file, as the container that `docker compose up` would make.

mod lists;
mod ports;
mod service;
mod variables;
mod volumes;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

use agent_docker::ExistingContainer;
use anyhow::{Context as _, bail, ensure};

use self::variables::Variables;
use self::yaml::Yaml;

/// Size of the largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;
/// Keys at the top of a file that describe its services, or nothing.
const TOP: [&str; 7] = [
    "name", "version", "services", "volumes", "networks", "secrets", "configs",
];

/// A compose file, with its variables filled in.
struct ComposeFile {
    tree: Yaml,
    project: String,
    /// Where relative paths begin.
    dir: PathBuf,
    variables: Variables,
    /// Directory of the engine's volumes.
    volume_root: PathBuf,
}

/// What was read of a file.
pub(super) struct Composed {
    pub(super) service: String,
    pub(super) container: ExistingContainer,
    /// What the operator has to know about the file.
    pub(super) warnings: Vec<String>,
}

/// Reads `service`, or the only one, of a compose file. `volume_root` is the directory of the engine's volumes.
///
/// Fails when the file is none, when it needs `docker compose` itself to be resolved, and when a variable is required.
pub(super) fn read(path: &Path, service: Option<&str>, volume_root: &Path) -> anyhow::Result<Composed> {
    let text = text_of(path)?;
    let dir = fs::canonicalize(path)?.parent().map(Path::to_owned).unwrap_or_default();
    // Only a file beside it counts, and there need not be one.
    let dot_env = fs::read_to_string(dir.join(".env")).unwrap_or_default();
    let mut variables = Variables::new(std::env::vars(), &dot_env);
    let tree = Yaml::parse(&text).with_context(|| format!("{} is no compose file", path.display()))?;
    let tree = tree.map_text(&mut |text| variables.fill(&text))?;
    let file = ComposeFile {
        project: project(&tree, &dir, &variables),
        tree,
        dir,
        variables,
        volume_root: volume_root.to_owned(),
    };
    let name = file.choose(service).with_context(|| path.display().to_string())?;
    let container = service::container(&file, &name)?;
    Ok(Composed {
        warnings: file.warnings(),
        service: name,
        container,
    })
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let found = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(
        found.is_file() && found.len() <= LARGEST,
        "{} is no compose file of at most 1 MiB",
        path.display()
    );
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// As compose names it: by a variable, a key, or the directory.
fn project(tree: &Yaml, dir: &Path, variables: &Variables) -> String {
    let given = variables.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty());
    if let Some(name) = given.or_else(|| tree.get("name")?.text()) {
        return name.to_owned();
    }
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    name.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect()
}

impl ComposeFile {
    fn services(&self) -> &[(String, Yaml)] {
        self.tree.get("services").map(Yaml::entries).unwrap_or_default()
    }

    fn choose(&self, wanted: Option<&str>) -> anyhow::Result<String> {
        let names: Vec<&str> = self.services().iter().map(|(name, _)| name.as_str()).collect();
        match (wanted, names.as_slice()) {
            (_, []) => bail!("it has no services"),
            (Some(wanted), names) if names.contains(&wanted) => Ok(wanted.to_owned()),
            (None, [only]) => Ok((*only).to_owned()),
            (None, _) => bail!(
                "it has several services: name one with --service, of {}",
                names.join(", ")
            ),
            (Some(wanted), _) => bail!("it has no service {wanted}, but {}", names.join(", ")),
        }
    }

    /// A path of the file, from the root.
    fn path(&self, text: &str) -> PathBuf {
        if let Some(home) = self.variables.get("HOME").filter(|_| text.starts_with("~/")) {
            return Path::new(home).join(&text[2..]);
        }
        // Without the dots, which the configuration refuses.
        let mut clean = PathBuf::new();
        for part in self.dir.join(text).components() {
            match part {
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => drop(clean.pop()),
                part => clean.push(part),
            }
        }
        clean
    }

    /// The name that the engine has for a volume or a network (`kind`) of the file.
    fn full_name(&self, kind: &str, name: &str) -> String {
        let entry = self.tree.get(kind).and_then(|all| all.get(name));
        let external = entry.and_then(|entry| entry.get("external"));
        let given = entry
            .and_then(|entry| entry.get("name"))
            .or_else(|| external?.get("name"));
        match given.and_then(Yaml::text) {
            Some(given) => given.to_owned(),
            None if external.is_some_and(Yaml::is_true) => name.to_owned(),
            None => format!("{}_{name}", self.project),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let missing = self.variables.missing.iter();
        let missing = missing.map(|name| format!("the variable {name} is not set: its place is empty"));
        let top = self.tree.entries().iter().map(|(key, _)| key);
        let unknown = top.filter(|key| !TOP.contains(&key.as_str()) && !key.starts_with("x-"));
        let unknown = unknown.map(|key| {
            format!("{key} at the top of the file: not read; `docker compose config >resolved.yml`, then --from-compose resolved.yml")
        });
        missing.chain(unknown).collect()
    }
}
