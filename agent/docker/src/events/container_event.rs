//! One of Docker's events, in the vocabulary of the core.

use bollard::models::{EventMessage, EventMessageTypeEnum};

use crate::inspection::is_ours;
use crate::spec::Spec;
use agent_core::event::Container;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ContainerEvent {
    /// It says everything.
    Tell(Container),
    /// The memory limit was hit; the death that follows says the rest.
    Oom { at: Option<i64> },
    /// A run ended, and its log and circumstances are wanted.
    Died(Death),
    /// A container lost the network that ours is on: ours when it still runs, or one that stops.
    Disconnected,
    /// The container is another now.
    Look(Change),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Created,
    /// A run began, Unix milliseconds.
    Started {
        at: Option<i64>,
    },
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(super) id: String,
    pub(super) at: Option<i64>,
    pub(super) code: Option<i64>,
    pub(super) spec_matches: bool,
}

/// What `event` means for the container of `spec`; `None` when it is about another container, or about
/// nothing that matters. Docker repeats a container's labels in its events, so that one that is not ours
/// is never taken for ours. The one with the id `known` is the container under any name.
pub(crate) fn translate(spec: &Spec, known: Option<&str>, event: EventMessage) -> Option<ContainerEvent> {
    let actor = event.actor?;
    let attributes = actor.attributes.unwrap_or_default();
    let at = event.time_nano.map(|nanos| nanos.div_euclid(1_000_000));
    let action = event.action?;
    if event.typ == Some(EventMessageTypeEnum::NETWORK) {
        let name = attributes.get("name").map(String::as_str);
        let lost = action == "disconnect" && name.is_some() && name == spec.network();
        return lost.then_some(ContainerEvent::Disconnected);
    }
    let named = attributes.get("name").is_some_and(|name| name == spec.name())
        || known.is_some() && known == actor.id.as_deref();
    if action == "rename" {
        let was = attributes
            .get("oldName")
            .is_some_and(|name| name.trim_start_matches('/') == spec.name());
        return (named || was).then_some(ContainerEvent::Look(Change::Other));
    }
    if !named {
        return None;
    }
    let look = ContainerEvent::Look(Change::Other);
    let number = |key| attributes.get(key).and_then(|text: &String| text.parse::<i64>().ok());
    Some(match (action.as_str(), is_ours(&attributes)) {
        ("pause" | "unpause" | "update", _) | ("start" | "kill" | "die" | "stop" | "destroy", false) => look,
        ("create", _) => ContainerEvent::Look(Change::Created),
        ("start", true) => ContainerEvent::Look(Change::Started { at }),
        ("kill", true) => {
            number("signal").map_or(look, |signal| ContainerEvent::Tell(Container::Signalled { at, signal }))
        }
        ("oom", true) => ContainerEvent::Oom { at },
        ("die", true) => ContainerEvent::Died(Death {
            id: actor.id.unwrap_or_default(),
            at,
            code: number("exitCode"),
            spec_matches: spec.made(&attributes, attributes.get("image").map_or("", String::as_str)),
        }),
        ("stop", true) => ContainerEvent::Tell(Container::Stopped { at }),
        ("destroy", true) => ContainerEvent::Tell(Container::Removed { at }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::spec::tests::config;
    use agent_config::Config;

    const AT: Option<i64> = Some(1_795_415_073_282);

    /// An event as engine 20.10 sends it.
    fn event(action: &str, labels: &str, more: &str) -> EventMessage {
        serde_json::from_str(&format!(
            r#"{{"status":"{action}","id":"ab","from":"i","Type":"container","Action":"{action}","Actor":{{"ID":"ab",
                "Attributes":{{"image":"i","name":"collator"{labels}{more}}}}},"scope":"local","time":1795415073,
                "timeNano":1795415073282175875}}"#
        ))
        .unwrap()
    }

    fn news(action: &str, more: &str) -> Option<ContainerEvent> {
        let spec = Spec::new(&config()).unwrap();
        let labels = format!(r#","t0rn-agent.managed":"true","t0rn-agent.spec":"{}""#, spec.hash);
        translate(&spec, None, event(action, &labels, more))
    }

    #[test]
    fn each_event_of_ours_has_its_meaning() {
        for (action, more, expected) in [
            (
                "kill",
                r#","signal":"15""#,
                ContainerEvent::Tell(Container::Signalled { at: AT, signal: 15 }),
            ),
            ("kill", "", ContainerEvent::Look(Change::Other)),
            ("stop", "", ContainerEvent::Tell(Container::Stopped { at: AT })),
            ("destroy", "", ContainerEvent::Tell(Container::Removed { at: AT })),
            ("oom", "", ContainerEvent::Oom { at: AT }),
            ("create", "", ContainerEvent::Look(Change::Created)),
            ("pause", "", ContainerEvent::Look(Change::Other)),
            ("unpause", "", ContainerEvent::Look(Change::Other)),
            ("update", "", ContainerEvent::Look(Change::Other)),
            ("start", "", ContainerEvent::Look(Change::Started { at: AT })),
            ("rename", r#","oldName":"/other""#, ContainerEvent::Look(Change::Other)),
            (
                "die",
                r#","exitCode":"137","execDuration":"4""#,
                ContainerEvent::Died(Death {
                    id: "ab".into(),
                    at: AT,
                    code: Some(137),
                    spec_matches: true,
                }),
            ),
        ] {
            assert_eq!(news(action, more), Some(expected), "{action}");
        }
        assert_eq!(news("exec_start: sh", ""), None);
    }

    #[test]
    fn a_container_that_is_not_ours_is_only_looked_at() {
        let spec = Spec::new(&config()).unwrap();
        for action in ["start", "kill", "die", "stop", "destroy", "pause"] {
            let found = translate(&spec, None, event(action, "", r#","signal":"9","exitCode":"1""#));
            assert_eq!(found, Some(ContainerEvent::Look(Change::Other)), "{action}");
        }
        assert_eq!(translate(&spec, None, event("oom", "", "")), None);
    }

    #[test]
    fn other_names_are_none_of_our_business_unless_it_was_ours_before() {
        let spec = Spec::new(&config()).unwrap();
        let mut other = event("die", r#","t0rn-agent.managed":"true""#, "");
        let rename = |event: &mut EventMessage, name: &str| {
            event
                .actor
                .as_mut()
                .unwrap()
                .attributes
                .as_mut()
                .unwrap()
                .insert("name".into(), name.into());
        };
        // Docker's own filter would take this for ours: it matches beginnings.
        rename(&mut other, "collator-old");
        assert_eq!(translate(&spec, None, other), None);
        let mut away = event("rename", "", r#","oldName":"/collator""#);
        rename(&mut away, "elsewhere");
        assert_eq!(translate(&spec, None, away), Some(ContainerEvent::Look(Change::Other)));
    }

    #[test]
    fn renamed_container_is_followed_by_its_id() {
        let spec = Spec::new(&config()).unwrap();
        let renamed = || {
            let mut event = event("stop", r#","t0rn-agent.managed":"true""#, "");
            let attributes = event.actor.as_mut().unwrap().attributes.as_mut().unwrap();
            attributes.insert("name".into(), "elsewhere".into());
            event
        };
        let stopped = Some(ContainerEvent::Tell(Container::Stopped { at: AT }));
        assert_eq!(translate(&spec, Some("ab"), renamed()), stopped);
        assert_eq!(translate(&spec, Some("cd"), renamed()), None);
    }

    #[test]
    fn only_the_loss_of_the_configured_network_is_news() {
        let mut config = config();
        let of = |config: &Config, network: &str, action: &str| {
            let mut event = event(action, "", "");
            event.typ = Some(EventMessageTypeEnum::NETWORK);
            let attributes = event.actor.as_mut().unwrap().attributes.as_mut().unwrap();
            attributes.insert("name".into(), network.into());
            translate(&Spec::new(config).unwrap(), None, event)
        };
        assert_eq!(of(&config, "bridge", "disconnect"), None, "every stop does that");
        config.collator.network = "chains".into();
        assert_eq!(of(&config, "chains", "disconnect"), Some(ContainerEvent::Disconnected));
        assert_eq!(of(&config, "chains", "connect"), None);
        assert_eq!(of(&config, "others", "disconnect"), None);
    }

    #[test]
    fn an_event_without_its_parts_is_ignored() {
        let spec = Spec::new(&config()).unwrap();
        assert_eq!(translate(&spec, None, EventMessage::default()), None);
        assert_eq!(
            translate(
                &spec,
                None,
                serde_json::from_str(r#"{"Action":"die","Actor":{"ID":"ab"}}"#).unwrap()
            ),
            None
        );
    }
}
