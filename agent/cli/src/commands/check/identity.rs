//! Check of the identity volume, where one is required.

use agent_config::Config;
use agent_daemon::identity::block_device::{self, VolumeState};

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
        Ok(_) => Finding::pass("identity", format!("{mount} is mounted and can be written to")),
    }]
}
