//! Explanations of causes: what is wrong and what to do about it.

mod chains;

use std::time::Duration;

use super::{Cause, ContainerState, Desired, Machine, UpdateResult};
use crate::event::Command;
use crate::exit_diagnosis::Diagnosis;
use crate::units::show_duration;

/// Why an operator's command is not carried out now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(pub String);

const BEING_STOPPED: &str = "being stopped by an operator: it runs still; t0rn-agent start takes it up again";

impl Machine {
    /// One sentence on `cause` as it stands now, with the remedy.
    pub fn explain(&self, cause: Cause) -> String {
        let text = self
            .explain_last_lines(cause)
            .unwrap_or_else(|| self.explain_present(cause));
        let without_peers = matches!(cause, Cause::Isolated | Cause::NeverConnected);
        if without_peers && self.state.names_other_chain {
            return format!("{text}; its log names a peer on another chain, so check the chain spec as well");
        }
        text
    }

    fn explain_present(&self, cause: Cause) -> String {
        let state = &self.state;
        match cause {
            Cause::ActionFailed => state
                .last_failure
                .as_ref()
                .map_or_else(String::new, |(_, error)| error.clone()),
            Cause::Rebalance
            | Cause::Maintenance
            | Cause::ScheduledStop
            | Cause::SpotInterruption
            | Cause::Termination
                if state.notice.is_some_and(|n| n.cause() == cause) =>
            {
                self.explain_notice()
            }
            Cause::IdentityMissing | Cause::IdentityLost if self.identity_cause() == Some(cause) => {
                self.explain_identity()
            }
            Cause::Paused => match &state.pause {
                Some(pause) if !pause.reason.is_empty() => {
                    format!(
                        "automatic actions are paused ({}): t0rn-agent resume ends it",
                        pause.reason
                    )
                }
                _ => "automatic actions are paused: t0rn-agent resume ends it".to_owned(),
            },
            Cause::Exited => match &state.last_exit {
                Some(exit) if exit.oom => "the collator was killed for using too much memory".to_owned(),
                Some(exit) => {
                    let code = exit
                        .code
                        .map_or_else(|| "an unknown code".to_owned(), |c| format!("code {c}"));
                    format!("the collator exited with {code}; it is being started again")
                }
                None => "the collator is not running; it is being started".to_owned(),
            },
            Cause::OutOfMemory => match self.policy.memory {
                Some(limit) => format!(
                    "the last run was killed for memory, it had {} MiB: raise collator.memory or use a larger instance",
                    limit >> 20
                ),
                None => {
                    "the last run was killed for memory, it had all of the host's: use a larger instance".to_owned()
                }
            },
            Cause::DiskFull if !state.disk_stop => "the node ran out of space although data.path has some: \
                 look for another full disk or a quota (df -h, df -i), then t0rn-agent start"
                .to_owned(),
            Cause::Isolated if state.host.network_ok.is_none() => {
                "no peers, and it is not known whether the host's network works: check it, ports and bootnodes"
                    .to_owned()
            }
            Cause::Operator if state.desired == Desired::Running => "an operator asked for it".to_owned(),
            Cause::Operator if state.seen.is_up() => BEING_STOPPED.to_owned(),
            Cause::Update | Cause::UpdateFailed => self.explain_update(),
            Cause::DatabaseMigrated => {
                let last = self.past_updates().next_back().and_then(|past| past.images.as_ref());
                let old = last.map_or("REF", |images| images.from.reference.as_str());
                format!(
                    "{}: restore the chain data from a snapshot, then t0rn-agent update --image {old}; or update to a \
                     newer image; t0rn-agent start tries this one again",
                    sentence(cause)
                )
            }
            Cause::StateUnsaved
            | Cause::StateSetAside
            | Cause::RecordsUnsaved
            | Cause::CertificateUnreadable
            | Cause::ConfigurationRefused
            | Cause::Shared
            | Cause::Altered => self.explain_with_reason(cause),
            Cause::NoCollation => {
                let limit = self.policy.no_collation_after.unwrap_or_default();
                format!(
                    "no block was built here for {} although the chain makes blocks: check that the collator's session \
                     key is in its keystore and that it is still in the chain's set of collators",
                    show_duration(limit)
                )
            }
            Cause::ClockOff => {
                let offset = state.host.clock_offset_ms.unwrap_or_default();
                format!("the host's clock is off by {offset:.0} ms and collating needs exact time: check chrony")
            }
            Cause::MemoryPressure => {
                let percent = state.host.memory_full_percent.unwrap_or_default();
                format!(
                    "for {percent:.0} % of the last minute everything on this host waited for memory: the node gets slow \
                     and may be killed, take a larger instance or end what else runs here"
                )
            }
            _ => self.explain_chain(cause).unwrap_or_else(|| sentence(cause).to_owned()),
        }
    }

    /// A cause of which the reason is known in words.
    fn explain_with_reason(&self, cause: Cause) -> String {
        let state = &self.state;
        let (reason, remedy) = match cause {
            Cause::StateUnsaved => (&state.unsaved, ""),
            Cause::StateSetAside => (
                &state.set_aside,
                "; ask for it again, or say with t0rn-agent start that the collator is to run",
            ),
            Cause::RecordsUnsaved => (&state.records_unsaved, ""),
            Cause::CertificateUnreadable => (&state.certificate_error, ""),
            Cause::ConfigurationRefused => (&state.configuration_error, "; then t0rn-agent reload"),
            Cause::Shared => (&state.shared, "; stop that container, or mount something else there"),
            Cause::Altered => (
                &state.altered,
                "; the agent makes it as configured when it restarts it next (t0rn-agent restart)",
            ),
            _ => (&None, ""),
        };
        with_reason(cause, reason.as_deref()) + remedy
    }

    /// What the last lines of the newest end show, with the remedy of their row.
    fn explain_last_lines(&self, cause: Cause) -> Option<String> {
        let Diagnosis { cause: shown, remedy } = self.state.diagnosis.as_ref()?;
        let what = sentence(*shown);
        let what = what.split_once(": ").map_or(what, |(what, _)| what);
        match remedy {
            _ if cause == Cause::CrashLoop && shown.may_pass() => {
                let remedy = remedy.as_deref().unwrap_or("look at t0rn-agent logs");
                Some(format!(
                    "it exits again and again, so starts are far apart now; {what}: {remedy}"
                ))
            }
            Some(remedy) if cause == *shown && shown.may_pass() => {
                Some(format!("{what}: {remedy}; it is started again"))
            }
            // The agent starts it by itself once there is room.
            Some(remedy) if cause == *shown && self.state.hold == Some(cause) && cause != Cause::DiskFull => {
                Some(format!("{what}: {remedy}, then t0rn-agent start"))
            }
            _ => None,
        }
    }

    /// The update under way, or else the last one, as a sentence.
    fn explain_update(&self) -> String {
        if let Some(update) = self.update() {
            let step = update.step.into_str().replace('_', " ");
            return match update.reason {
                Some(reason) => format!("the update to {} failed, {step}: {reason}", update.image),
                None => format!("the update to {} is under way: {step}", update.image),
            };
        }
        let Some(past) = self.past_updates().next_back() else {
            return sentence(Cause::Update).to_owned();
        };
        let image = &past.image;
        let text = match past.result {
            UpdateResult::Done => format!("updated to {image}"),
            UpdateResult::NotProven => format!("updated to {image}, which is not proven"),
            UpdateResult::Unchanged => format!("{image} is the image that runs"),
            UpdateResult::Failed => format!("the update to {image} failed and nothing was changed"),
            UpdateResult::RolledBack => format!("the update to {image} failed and was taken back"),
            UpdateResult::Held => format!("the update to {image} failed and cannot be taken back"),
            UpdateResult::Superseded => format!("the update to {image} was given up"),
        };
        match &past.reason {
            Some(reason) => format!("{text}: {reason}"),
            None => text,
        }
    }

    /// The answer to an operator's command.
    ///
    /// Fails when it cannot be carried out now; the operator's wish is kept all the same.
    pub fn acknowledge(&self, command: &Command) -> Result<String, CommandError> {
        let state = &self.state;
        let wants_it_up = matches!(command, Command::Restart { .. } | Command::Start { .. });
        Ok(match command {
            _ if wants_it_up && state.seen == ContainerState::Foreign => {
                return Err(CommandError(sentence(Cause::Foreign).to_owned()));
            }
            Command::Restart { .. } if state.docker_down => {
                let why = "docker is unreachable, so nothing can be restarted: ask again when it is back";
                return Err(CommandError(why.to_owned()));
            }
            _ if wants_it_up && self.leaves(state.now) => return Err(CommandError(self.explain_notice())),
            _ if wants_it_up && !self.may_start() => return Err(CommandError(self.explain_identity())),
            _ if wants_it_up && state.disk_stop => {
                let why = "the disk is nearly full: free or add space and the collator starts again";
                return Err(CommandError(why.to_owned()));
            }
            Command::Restart { .. } if state.in_flight.is_some() => {
                "another action is under way: nothing more to do".to_owned()
            }
            Command::Restart { .. } if self.is_leave_due(state.now) => {
                "restarting the collator as soon as EC2 shows that this instance does not end".to_owned()
            }
            Command::Restart { .. } => "restarting the collator".to_owned(),
            Command::Start { .. } if state.seen.is_up() && self.is_stopping() => {
                "starting the collator as soon as it has stopped".to_owned()
            }
            Command::Start { .. } if self.is_being_stopped(state.now) => {
                "the collator is being stopped with docker stop: starting it as soon as it has ended".to_owned()
            }
            Command::Start { .. } if state.seen.is_up() && !self.is_docker_heard() => {
                "the collator ran when Docker was heard last: starting it if it does not run now".to_owned()
            }
            Command::Start { .. } if state.seen.is_up() => "the collator is running already".to_owned(),
            Command::Start { .. } => "starting the collator".to_owned(),
            Command::Stop { .. } => "stopping the collator; it stays stopped until t0rn-agent start".to_owned(),
            Command::Pause { seconds, .. } => {
                format!(
                    "automatic actions are paused for {}",
                    show_duration(Duration::from_secs(*seconds))
                )
            }
            Command::Update { image, .. } => match self.refuses_update() {
                Some(reason) => return Err(CommandError(reason)),
                None => format!("updating to {image}: see t0rn-agent status"),
            },
            Command::Resume if state.pause.is_none() => "automatic actions were not paused".to_owned(),
            Command::Resume => "automatic actions go on".to_owned(),
        })
    }
}

fn with_reason(cause: Cause, reason: Option<&str>) -> String {
    format!("{}: {}", sentence(cause), reason.unwrap_or_default())
}

#[expect(clippy::too_many_lines, reason = "one arm for each cause")]
fn sentence(cause: Cause) -> &'static str {
    match cause {
        Cause::Frozen => "the container runs but none of its exporters answers",
        Cause::Stalled => "no progress for the whole window although it has peers",
        Cause::Isolated => "no peers although the host's network works: check ports and bootnodes",
        Cause::NoExporter => "no exporter has answered since the start: check ports and --prometheus-external",
        Cause::Blind => {
            "an exporter does not answer, so this chain cannot be judged: check its port and the node's log"
        }
        Cause::NotHelping => {
            "restarting does not help: look at t0rn-agent logs; t0rn-agent resume lets it be tried again"
        }
        Cause::BudgetSpent => {
            "the budget of health restarts is spent: look at t0rn-agent logs before restarting by hand"
        }
        Cause::NoCollation => "no block was built here although the chain makes blocks",
        Cause::Quiet
        | Cause::FallingBehind
        | Cause::FinalityStalled
        | Cause::SyncTooSlow
        | Cause::UnsteadyPeers
        | Cause::NeverConnected
        | Cause::SlowStart => chains::sentence(cause),
        Cause::CrashLoop => "it exits again and again, so starts are far apart now: look at t0rn-agent logs",
        Cause::OutOfMemory => "the collator was killed for using too much memory",
        Cause::Foreign => {
            "a container of that name is not managed by this agent: take it over (t0rn-agent takeover), rename or remove it, \
             then it goes on"
        }
        Cause::DatabaseCorrupted => {
            "the database is damaged: restore the chain data from a snapshot, then t0rn-agent start"
        }
        Cause::DatabaseNewer => {
            "the database was written by a newer node: use that image again or restore older data, then t0rn-agent start"
        }
        Cause::DatabaseForeign => {
            "the data directory is damaged or another node's: check data.path or restore it, then t0rn-agent start"
        }
        Cause::DataInUse => "another process holds the database: find and stop it (fuser -v), then t0rn-agent start",
        Cause::WrongChain => {
            "the node is on another chain than its bootnodes: mend the chain spec, then t0rn-agent start"
        }
        Cause::NoNetworkKey => {
            "a collator needs a node key: give --node-key-file, restart the agent, then t0rn-agent start"
        }
        Cause::BadArguments => {
            "the node does not accept its arguments: mend collator.command, restart the agent, then t0rn-agent start"
        }
        Cause::PruningMode => {
            "the database was written with another pruning mode: mend --state-pruning in collator.command or restore \
             data of this mode, restart the agent, then t0rn-agent start"
        }
        Cause::DataUnwritable => {
            "the node may not read or write its files: mend their owner (collator.user) or the mount, then t0rn-agent \
             start"
        }
        Cause::NodeFault => {
            "the node ended by an error that no restart cures: look at t0rn-agent logs, then t0rn-agent start"
        }
        Cause::RelayRpcUnreachable => {
            "no relay chain node of --relay-chain-rpc-urls answers: check the addresses and those nodes; it is started \
             again"
        }
        Cause::PortInUse => "another process listens on a port of the node: find it (ss -ltnp); it is started again",
        Cause::MissingExecutable => {
            "the image has no such executable: mend collator.image or collator.command, restart the agent, \
             then t0rn-agent start"
        }
        Cause::BakedChain => {
            "the data was baked for another chain (bake.json): use the image of that chain, or move the data away, \
             restart the agent, then t0rn-agent start"
        }
        Cause::BakedDatabase => {
            "the data was baked with another kind of database, or a part of it is gone (bake.json): mend --database in \
             collator.command or restore the data, restart the agent, then t0rn-agent start"
        }
        Cause::RestoreInterrupted => {
            "a restore was interrupted while it exchanged the data: run the same t0rn-agent snapshot restore again, and \
             it finishes"
        }
        Cause::BakedNewer => {
            "the data was baked by a newer node (bake.json): use that image or a newer one, restart the agent, then \
             t0rn-agent start"
        }
        Cause::DatabaseMigrated => {
            "the update failed and had changed the database already, or that is unknown, so the old image may not read it"
        }
        Cause::Update => "the image is updated",
        Cause::UpdateFailed => "an update failed",
        Cause::DiskFull => {
            "the disk is nearly full, so the collator was stopped: free or add space and it starts again"
        }
        Cause::DiskFreed => "there is room on the disk again",
        Cause::DiskLow => "the disk is filling up: add space",
        Cause::NetworkDown => "the host has no default route or no resolver that answers",
        Cause::DockerUnreachable => {
            "docker does not answer at agent.docker, so nothing can be done: systemctl status docker"
        }
        Cause::Rebalance => "EC2 recommends to move away from this spot instance",
        Cause::Maintenance => "EC2 works on this instance's host",
        Cause::ScheduledStop => "EC2 stops or reboots this instance",
        Cause::SpotInterruption => "EC2 takes this spot instance back",
        Cause::Termination => "the auto scaling group ends this instance",
        Cause::IdentityMissing => "the volume with the collator's keys is not here",
        Cause::IdentityLost => "the volume with the collator's keys was lost",
        Cause::IdentityHeld => "the identity is held (again)",
        Cause::NoticeOver => "EC2 no longer takes this instance",
        Cause::Operator => "stopped by an operator: t0rn-agent start takes it up again",
        Cause::StoppedByPerson => "stopped with docker stop: t0rn-agent start takes it up again",
        Cause::Missing => "there was no container",
        Cause::Exited => "the collator exited",
        Cause::Killed => "the collator was killed from outside",
        Cause::Removed => "the container was removed from outside",
        Cause::SpecChanged => "the container is not what the configuration asks for",
        Cause::ActionFailed => "an action failed",
        Cause::ClockOff => "the host's clock is off",
        Cause::MemoryPressure => "everything on this host waits for memory",
        Cause::Paused => "automatic actions are paused",
        Cause::StateDiskStalled => {
            "the disk of agent.state_dir does not answer: look at dmesg; the collator is looked after, and a restart of \
             the agent would forget the newest"
        }
        Cause::DataDiskStalled => "the disk of data.path does not answer: look at dmesg, and at its device and mount",
        Cause::IdentityDiskStalled => {
            "the disk of identity.mount does not answer: look at dmesg, and at its device and mount"
        }
        Cause::StateUnsaved => "a restart of the agent would forget what it knows",
        Cause::StateSetAside => {
            "the agent's state was not usable: a stop, a pause or an update that an operator asked for may be forgotten"
        }
        Cause::RecordsUnsaved => "lines of the flight recorder or an incident could not be saved",
        Cause::Shared => "another container has the collator's keys or writes to its data",
        Cause::Altered => "the container was changed from outside",
        Cause::CertificateUnreadable => "it is not known what data the image came with",
        Cause::ConfigurationRefused => "the configuration is refused, the former one stays in force",
    }
}
