//! Which changes of the configuration make another container.

use agent_config::Needs;

use super::*;

fn other() -> Config {
    let text = include_str!("../../../../config/src/tests/other.toml");
    Config::parse(text, "other.toml").unwrap()
}

fn hash(config: &Config) -> String {
    Spec::new(config).unwrap().hash
}

#[test]
fn reload_never_makes_another_container() {
    let (old, new) = (config(), other());
    assert_eq!(hash(&old.reloaded(&new)), hash(&old));
    assert_ne!(hash(&new), hash(&old));
}

#[test]
fn keys_that_need_no_other_container_are_no_part_of_it() {
    let (old, new) = (config(), other());
    let CollatorConfig {
        pull,
        registry_auth,
        cosign_key,
        ..
    } = new.collator.clone();
    let mut agent = new;
    agent.agent.docker.clone_from(&old.agent.docker);
    agent.collator = CollatorConfig {
        pull,
        registry_auth,
        cosign_key,
        ..old.collator.clone()
    };
    agent.data.clone_from(&old.data);
    agent.mounts.clone_from(&old.mounts);
    agent.identity.clone_from(&old.identity);
    let changes = old.changes(&agent);
    let needs = changes.iter().map(|change| change.needs).max();
    assert_eq!(needs, Some(Needs::Agent), "{changes:?}");
    assert_eq!(hash(&agent), hash(&old));
}
