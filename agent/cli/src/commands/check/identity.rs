//! Check of the identity volume, where one is required.

use agent_config::Config;
use agent_daemon::host::HostProbe;
use agent_daemon::identity::block_device::{self, VolumeState};
use agent_daemon::identity::lease::LeaseFile;
use agent_files::printable;

use super::report::Finding;

/// One finding, or none where no volume is required.
pub(super) fn check_identity(config: &Config) -> Vec<Finding> {
    if !config.identity.required {
        return Vec::new();
    }
    let mount = config.identity.mount.display();
    let found = block_device::inspect(&config.identity.mount, config.identity.volume.as_deref());
    vec![match found {
        Err(error) => Finding::skip("identity", format!("cannot be determined: {error}")),
        Ok(VolumeState { mounted: None, .. }) => Finding::fail(
            "identity",
            format!(
                "nothing is mounted at {mount}, so nothing runs with keys: t0rn-agent identity status; for a blank volume \
                 t0rn-agent identity init --format"
            ),
        ),
        Ok(VolumeState {
            mounted: Some(mounted), ..
        }) if mounted.read_only => {
            let text = format!("{mount} is read-only: look at its file system (dmesg), or attach the volume anew");
            Finding::fail("identity", text)
        }
        Ok(VolumeState {
            mounted: Some(mounted),
            device: Some(device),
            ..
        }) if device.number != mounted.number => {
            let text = format!("another volume is mounted at {mount}: unmount it");
            Finding::fail("identity", text)
        }
        // A volume that is attached here alone needs no lease.
        Ok(VolumeState { lease, .. }) => match lease
            .as_ref()
            .filter(|_| config.identity.volume.is_none())
            .and_then(|lease| other_holder(lease, &HostProbe::name()))
        {
            Some(holder) => Finding::warn(
                "identity",
                format!(
                    "the lease in {mount} is {holder}: nothing runs with the keys here until it is given back or old"
                ),
            ),
            None => Finding::pass("identity", format!("{mount} is mounted and can be written to")),
        },
    }]
}

/// Whose lease it is; `None` is this host's, also that of an earlier boot.
fn other_holder(lease: &LeaseFile, host: &str) -> Option<String> {
    match lease {
        LeaseFile::Unreadable(_) => Some("not readable, which counts as another host's".to_owned()),
        LeaseFile::Lease(lease) => {
            (lease.holder != host).then(|| format!("that of {} since {}", printable(&lease.holder), lease.at))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use agent_daemon::identity::lease::Lease;

    use super::*;

    #[test]
    fn lease_of_another_host_is_named_and_one_that_cannot_be_read_too() {
        let lease = LeaseFile::Lease(Lease::of("a").unwrap());
        assert_eq!(other_holder(&lease, "a"), None);
        assert!(other_holder(&lease, "b").unwrap().starts_with("that of a since "));
        assert!(other_holder(&LeaseFile::Unreadable("{".to_owned()), "a").is_some());
    }
}
