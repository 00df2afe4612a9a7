//! What `docker rename` and `docker update` changed on a container of ours.

use std::collections::HashMap;

use bollard::models::{HostConfig, RestartPolicyNameEnum};

use crate::spec::Spec;
use agent_core::units::show_mib;

/// How the container differs from what was created, with the remedy; `None` where it does not. `labels` tell what was asked
/// for then: by another configuration, only the name is compared.
pub(super) fn alterations(
    name: &str,
    labels: &HashMap<String, String>,
    host: Option<&HostConfig>,
    spec: &Spec,
) -> Option<String> {
    let renamed = (name != spec.name()).then(|| {
        let wanted = spec.name();
        format!("its name is {name} instead of {wanted} (docker rename {name} {wanted} gives it back)")
    });
    let host = host.filter(|_| spec.asks_for(labels));
    let host = host.map(|host| [policy(name, host, spec), memory(host, spec), processor(host)]);
    let all: Vec<String> = std::iter::once(renamed)
        .chain(host.into_iter().flatten())
        .flatten()
        .collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn policy(name: &str, host: &HostConfig, spec: &Spec) -> Option<String> {
    let found = host.restart_policy.as_ref()?.name?;
    let found = match found {
        RestartPolicyNameEnum::EMPTY => RestartPolicyNameEnum::NO,
        found => found,
    };
    let wanted = spec.restart_policy();
    (found != wanted).then(|| {
        format!(
            "its restart policy is {found} instead of {wanted} (docker update --restart {wanted} {name} gives it back)"
        )
    })
}

fn memory(host: &HostConfig, spec: &Spec) -> Option<String> {
    let shown = |limit: i64| match u64::try_from(limit) {
        Ok(bytes) if bytes > 0 => show_mib(bytes),
        _ => "none".to_owned(),
    };
    let (found, wanted) = (host.memory.unwrap_or_default(), spec.memory().unwrap_or_default());
    (found != wanted).then(|| {
        format!(
            "its memory limit is {} instead of {} (collator.memory)",
            shown(found),
            shown(wanted)
        )
    })
}

/// The agent limits no processor.
fn processor(host: &HostConfig) -> Option<String> {
    let numbers = [host.nano_cpus, host.cpu_quota, host.cpu_shares];
    let limited = numbers.into_iter().flatten().any(|limit| limit > 0)
        || host.cpuset_cpus.as_ref().is_some_and(|cpus| !cpus.is_empty());
    limited.then(|| "its use of the processor is limited".to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use bollard::models::ContainerCreateBody;

    use super::*;
    use crate::spec::tests::config;

    #[test]
    fn what_was_created_is_not_altered_and_each_change_is_named() {
        let mut config = config();
        config.collator.memory = Some(2 << 30);
        let spec = Spec::new(&config).unwrap();
        let body = spec.body("image").unwrap();
        let (created, labels) = (body.host_config.unwrap(), body.labels.unwrap());
        let of = |name: &str, json: &str| {
            let mut host = serde_json::to_value(&created).unwrap();
            let changed: serde_json::Value = serde_json::from_str(json).unwrap();
            host.as_object_mut()
                .unwrap()
                .extend(changed.as_object().unwrap().clone());
            alterations(name, &labels, Some(&serde_json::from_value(host).unwrap()), &spec)
        };
        assert_eq!(of("collator", "{}"), None);
        assert_eq!(alterations("collator", &labels, None, &spec), None);
        let engine = r#"{"NanoCpus":0,"CpuQuota":0,"CpuShares":0,"CpusetCpus":"","MemoryReservation":0}"#;
        assert_eq!(of("collator", engine), None, "what an engine adds");
        for (name, json, expected) in [
            (
                "old",
                "{}",
                "its name is old instead of collator (docker rename old collator gives it back)",
            ),
            (
                "collator",
                r#"{"RestartPolicy":{"Name":"always","MaximumRetryCount":0}}"#,
                "its restart policy is always instead of unless-stopped (docker update --restart unless-stopped \
                 collator gives it back)",
            ),
            (
                "collator",
                r#"{"Memory":1073741824}"#,
                "its memory limit is 1024 MiB instead of 2048 MiB (collator.memory)",
            ),
            (
                "collator",
                r#"{"Memory":0}"#,
                "its memory limit is none instead of 2048 MiB (collator.memory)",
            ),
            (
                "collator",
                r#"{"NanoCpus":500000000}"#,
                "its use of the processor is limited",
            ),
        ] {
            assert_eq!(of(name, json).as_deref(), Some(expected));
        }
    }

    #[test]
    fn limits_of_another_configuration_are_not_compared_and_those_of_an_update_are() {
        let before = Spec::new(&config()).unwrap();
        let mut config = config();
        config.collator.memory = Some(2 << 30);
        let now = Spec::new(&config).unwrap();
        let body = |spec: &Spec| spec.body("image").unwrap();
        let of = |labels: ContainerCreateBody| {
            let host = body(&before).host_config;
            alterations("collator", &labels.labels.unwrap(), host.as_ref(), &now)
        };
        assert_eq!(of(body(&before)), None);
        let updated = now.with_image("org/node:v2", None).unwrap();
        assert!(of(body(&updated)).is_some());
    }
}
