//! What the container is kept from.

use super::*;

fn host(change: impl FnOnce(&mut Config)) -> bollard::models::HostConfig {
    let mut config = config();
    change(&mut config);
    Spec::new(&config).unwrap().body("i").unwrap().host_config.unwrap()
}

#[test]
fn container_is_confined_by_default() {
    let host = host(|_| {});
    assert_eq!(
        host.security_opt.unwrap(),
        ["no-new-privileges:true"],
        "the seccomp profile is the engine's"
    );
    assert_eq!(
        (host.cap_drop.unwrap(), host.cap_add.unwrap()),
        (vec!["ALL".to_owned()], Vec::new())
    );
    assert_eq!((host.pids_limit, host.readonly_rootfs), (Some(8192), Some(true)));
    let tmp = host.tmpfs.unwrap().remove("/tmp").unwrap();
    assert!(tmp.contains("noexec") && tmp.contains("size=64m"), "{tmp}");
    assert!(host.privileged.is_none() && host.pid_mode.is_none() && host.devices.is_none());
}

#[test]
fn confinement_is_loosened_key_by_key() {
    let host = host(|c| {
        c.collator.confinement = Confinement {
            no_new_privileges: false,
            cap_add: vec!["NET_BIND_SERVICE".into()],
            pids_limit: None,
            read_only: false,
        };
    });
    assert_eq!((host.security_opt, host.pids_limit, host.tmpfs), (None, None, None));
    assert_eq!(host.cap_add.unwrap(), ["NET_BIND_SERVICE"]);
    assert_eq!(
        (host.cap_drop.unwrap(), host.readonly_rootfs),
        (vec!["ALL".to_owned()], Some(false))
    );
}

#[test]
fn mount_at_tmp_is_not_covered_by_another() {
    assert!(host(|c| c.mounts[0].target = "/tmp".into()).tmpfs.is_none());
    assert!(host(|c| c.data.target = "/tmp".into()).tmpfs.is_none());
}
