//! Checks of the image, the container, and its exporters while it runs.

use std::fmt::Write as _;

use agent_config::{Config, PullPolicy};
use agent_core::event::Container;
use agent_daemon::exporter::ExporterClient;
use agent_docker::{Docker, ExistingContainer, ImageSource, takeover_name};

use super::ports;
use super::report::{Finding, Grade};

pub(super) async fn check_image(docker: &Docker, config: &Config) -> Vec<Finding> {
    let image = &config.collator.image;
    vec![match docker.image_source().await {
        Ok(ImageSource::Host) if config.collator.pull == PullPolicy::Always => Finding::pass(
            "image",
            format!("{image} is on this host; the registry is asked again at every start"),
        ),
        Ok(ImageSource::Host) => Finding::pass("image", format!("{image} is on this host")),
        Ok(ImageSource::Registry) => Finding::pass("image", format!("{image} can be pulled")),
        Err(error) => Finding::fail("image", error.to_string()),
    }]
}

pub(super) async fn check_container(docker: &Docker, config: &Config) -> Vec<Finding> {
    let name = &config.collator.container;
    let found = match docker.inspect().await {
        Ok(found) => found,
        Err(error) => return vec![Finding::fail("container", error.to_string())],
    };
    let is_up = matches!(
        found.container,
        Container::Running { .. } | Container::Paused { .. } | Container::Restarting
    );
    if !is_up && let Some(predecessor) = find_predecessor(docker).await {
        return check_predecessor(config, &predecessor).await;
    }
    let runs = found.detail.as_ref().map(|detail| &detail.image);
    let other = match runs.filter(|image| **image != config.collator.image) {
        Some(image) => format!(
            "runs {image}: after t0rn-agent update write that into collator.image, else the agent will replace it"
        ),
        None => "runs with another configuration: the agent will replace it, its data stays".to_owned(),
    };
    let ended = |code: Option<i64>| match code {
        Some(code) => format!("{name} has ended with code {code}: see t0rn-agent status"),
        None => format!("{name} has ended: see t0rn-agent status"),
    };
    let container = match &found.container {
        Container::Running { spec_matches: true, .. } => {
            Finding::pass("container", format!("{name} runs as configured"))
        }
        Container::Running { .. } => Finding::warn("container", format!("{name} {other}")),
        Container::Paused { .. } => Finding::warn(
            "container",
            format!("{name} is paused: docker unpause {name}, or wait for the agent"),
        ),
        Container::Foreign => Finding::fail("container", docker.foreign().to_string()),
        Container::Restarting => Finding::warn("container", format!("{name} is being started again by Docker")),
        Container::Exited { exit, .. } => Finding::warn("container", ended(exit.code)),
        Container::Created { .. } => Finding::pass("container", format!("{name} is made and not started yet")),
        _ => Finding::pass("container", format!("there is no {name} yet: the agent will make it")),
    };
    let runs = matches!(found.container, Container::Running { .. } | Container::Paused { .. });
    let mut findings = vec![container, ports::check_ports(config, runs, None)];
    if runs {
        findings.extend(check_exporters(config).await);
    } else {
        findings.push(Finding::skip("exporters", "the collator does not run"));
    }
    findings
}

/// The container that runs on the data and is to be taken over; `None` without one, and where Docker does not say.
async fn find_predecessor(docker: &Docker) -> Option<ExistingContainer> {
    for name in docker.containers_on_data().await.ok()? {
        let found = docker.existing(&name).await.ok().flatten();
        if let Some(found) = found.filter(|found| found.runs() && !found.is_ours) {
            return Some(found);
        }
    }
    None
}

/// Checks what the agent's collator will have once the predecessor is taken over.
async fn check_predecessor(config: &Config, predecessor: &ExistingContainer) -> Vec<Finding> {
    let name = &predecessor.name;
    let container = Finding::warn(
        "container",
        format!(
            "{name} runs on the data and was not made by t0rn-agent: t0rn-agent takeover {}",
            takeover_name(name)
        ),
    );
    let mut exporters = check_exporters(config).await;
    for finding in exporters.iter_mut().filter(|finding| finding.result == Grade::Fail) {
        // The agent's container may publish what this one does not.
        finding.result = Grade::Warn;
        // Writing to a String cannot fail.
        let _ = write!(finding.text, ", while {name} runs");
    }
    [
        vec![container, ports::check_ports(config, false, Some(predecessor))],
        exporters,
    ]
    .concat()
}

async fn check_exporters(config: &Config) -> Vec<Finding> {
    let scrapes = config.chains.iter().map(async |(chain, exporter)| {
        let exporter = match ExporterClient::new(*chain, exporter, config.health.scrape_timeout) {
            Ok(exporter) => exporter,
            Err(error) => return Finding::fail("exporters", error.to_string()),
        };
        match exporter.scrape().await {
            Ok(page) if page.by_rpc => {
                let text = format!(
                    "{}: answers, without a chain of its own (relay chain by RPC)",
                    chain.into_str()
                );
                Finding::pass("exporters", text)
            }
            Ok(page) => {
                let best = page
                    .sample
                    .best
                    .map_or_else(|| "unknown".to_owned(), |best| best.to_string());
                let peers = page
                    .sample
                    .peers
                    .map_or_else(|| "unknown".to_owned(), |peers| peers.to_string());
                Finding::pass("exporters", format!("{}: best {best}, peers {peers}", chain.into_str()))
            }
            Err(failure) => Finding::fail("exporters", format!("{}: {failure}", chain.into_str())),
        }
    });
    futures_util::future::join_all(scrapes).await
}
