//! `init`: makes a configuration from a container, from a compose file, or from answers.
//!
//! The text is checked by the parser of the configuration before it is put in place. Nothing else is changed: no container,
//! no data.

mod answers;
mod carry;
mod compose;
mod destination;
mod draft;
mod probe;
mod render;
mod report;
mod size;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use agent_config::Config;
use agent_docker::{Docker, ExistingContainer, Neighbour};
use anyhow::Context as _;
use clap::Args;

use self::answers::AnswerArgs;
use self::destination::Destination;
use self::draft::Draft;
use crate::error::UsageError;
use crate::globals::GlobalArgs;

pub(crate) const EXAMPLES: &str = "\
What could not be carried over is said, and stands at the head of the file. Values of the environment are
written to the file and never to the terminal.

Examples:
  t0rn-agent init --from-container collator
  t0rn-agent init --from-compose /srv/collator/compose.yml --service node
  t0rn-agent init --from-container collator --output ./agent.toml
  t0rn-agent init --yes --image parity/polkadot-omni-node:v1.24.0 --chain /etc/t0rn-agent/specs/a.json";

/// Where Docker listens by default.
const DOCKER: &str = "/var/run/docker.sock";

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// From a container of this host, running or stopped; it is not touched
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from_compose", "image", "chain", "relay_chain", "data"])]
    from_container: Option<String>,
    /// From a service of a compose file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "chain", "relay_chain", "data"])]
    from_compose: Option<PathBuf>,
    /// Which service, where the file has several
    #[arg(long, value_name = "NAME", requires = "from_compose")]
    service: Option<String>,
    #[command(flatten)]
    answers: AnswerArgs,
    /// Where to write; - is the standard output [default: as for --config]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a configuration that is there
    #[arg(long)]
    force: bool,
    /// The Docker engine's socket
    #[arg(long, value_name = "PATH", default_value = DOCKER)]
    docker: PathBuf,
}

pub(crate) async fn execute(args: &InitArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let destination = Destination::new(args.output.as_deref().unwrap_or(globals.config_path()), args.force)?;
    let mut draft = draft(args).await?;
    if args.docker != Path::new(DOCKER) {
        draft.docker = Some(args.docker.clone());
    }
    let text = render::render(&draft);
    Config::parse(&text, "the new configuration")
        .context("what was found makes no usable configuration; nothing was written")?;
    report::notes(&mut io::stderr().lock(), &draft.notes)?;
    destination.write(&draft, &text, out)?;
    report::next_steps(&mut io::stderr().lock(), &draft, &destination)
}

async fn draft(args: &InitArgs) -> anyhow::Result<Draft> {
    let docker = engine(&args.docker)?;
    if let Some(name) = &args.from_container {
        return from_container(&docker, name).await;
    }
    if let Some(file) = &args.from_compose {
        return from_compose(&docker, file, args.service.as_deref()).await;
    }
    let container = answers::container(&args.answers)?;
    let mut draft = planned(&docker, container).await?;
    "answers".clone_into(&mut draft.origin);
    Ok(draft)
}

/// A handle for the engine; the rest of its configuration is not used.
fn engine(socket: &Path) -> anyhow::Result<Docker> {
    let text = format!(
        "[agent]\ndocker = {}\n[collator]\nimage = \"none\"\n",
        render::quote(&socket.to_string_lossy())
    );
    Ok(Docker::new(&Config::parse(&text, "--docker")?)?)
}

async fn from_container(docker: &Docker, name: &str) -> anyhow::Result<Draft> {
    let Some(container) = docker.existing(name).await? else {
        let text = format!("there is no container {name}: `docker ps --all` names them");
        return Err(UsageError::Unusable(text).into());
    };
    if container.is_ours {
        let text = format!("the container {name} was made by t0rn-agent: its configuration exists already");
        return Err(UsageError::Unusable(text).into());
    }
    let neighbours = docker.neighbours(&container.name).await?;
    let mut draft = carry::carry(&container, &neighbours)?;
    draft.origin = format!("the container {}", container.name);
    draft.existing = Some(container.name.clone());
    if container.status == "running" {
        probe::probe(&mut draft, &container).await;
    } else {
        draft.note(format!(
            "the container is {}: its exporters were not asked, and their prefix is taken for substrate",
            container.status
        ));
    }
    Ok(draft)
}

async fn from_compose(docker: &Docker, file: &Path, service: Option<&str>) -> anyhow::Result<Draft> {
    let root = docker.volume_root().await;
    let root = root.unwrap_or_else(|_| PathBuf::from("/var/lib/docker/volumes"));
    let composed = compose::read(file, service, &root)?;
    let mut draft = planned(docker, composed.container).await?;
    draft.origin = format!("the service {} of {}", composed.service, file.display());
    for warning in composed.warnings {
        draft.warn(warning);
    }
    Ok(draft)
}

/// The draft of a container that is described only. Docker is asked for what it knows of the image and of other containers.
async fn planned(docker: &Docker, mut container: ExistingContainer) -> anyhow::Result<Draft> {
    let asked = async {
        let image = docker.existing_image(&container.image.reference).await?;
        Ok::<_, agent_docker::Error>((image, docker.neighbours(&container.name).await?))
    };
    let (image, neighbours): (_, Vec<Neighbour>) = match asked.await {
        Ok(found) => found,
        Err(error) => {
            let mut draft = carry::carry(&container, &[])?;
            draft.note(format!(
                "neither the image nor other containers were looked at: {error}"
            ));
            return Ok(draft);
        }
    };
    container.image = image.unwrap_or(container.image);
    // As Docker does.
    if container.command.is_empty() && container.entrypoint.is_none() {
        container.command.clone_from(&container.image.command);
    }
    carry::carry(&container, &neighbours)
}
