//! What the hardware says of itself: whether this machine is Amazon's. Elsewhere the metadata address may belong to any host.
#![expect(clippy::disallowed_methods, reason = "files of the kernel, which no disk holds")]

use std::fs;
use std::path::PathBuf;

/// Manufacturer of instances on Nitro and of bare metal.
const AMAZON: &str = "Amazon EC2";
/// Manufacturer of older instances; others run Xen, too.
const XEN: &str = "Xen";
/// What the unique id of Amazon's Xen instances begins with, in any case.
const XEN_ID: &str = "ec2";

/// Where the kernel shows firmware and hypervisor.
#[derive(Debug, Clone)]
pub(super) struct Dmi {
    dmi: PathBuf,
    hypervisor: PathBuf,
}

impl Dmi {
    /// This machine's.
    pub(super) fn of_host() -> Self {
        Self {
            dmi: "/sys/class/dmi/id".into(),
            hypervisor: "/sys/hypervisor".into(),
        }
    }

    #[cfg(test)]
    pub(super) fn at(dir: &std::path::Path) -> Self {
        Self {
            dmi: dir.join("dmi"),
            hypervisor: dir.join("hypervisor"),
        }
    }

    /// Whether this machine is an instance of EC2.
    pub(super) fn is_amazon(&self) -> bool {
        match self.read("sys_vendor").as_deref() {
            Some(AMAZON) => true,
            Some(XEN) => {
                // The first is root's alone on some kernels.
                let ids = [
                    self.read("product_uuid"),
                    fs::read_to_string(self.hypervisor.join("uuid")).ok(),
                ];
                ids.into_iter()
                    .flatten()
                    .any(|id| id.to_ascii_lowercase().starts_with(XEN_ID))
            }
            _ => false,
        }
    }

    /// Whether this machine is the instance `id`, as far as it says: Xen has no such field.
    pub(super) fn is_instance(&self, id: &str) -> bool {
        let is_xen = self.read("sys_vendor").as_deref() == Some(XEN);
        self.is_amazon() && (is_xen || self.read("board_asset_tag").as_deref() == Some(id))
    }

    fn read(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.dmi.join(name)).ok()?;
        Some(text.trim().to_owned())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
pub(super) mod tests {
    use std::path::Path;

    use super::*;

    /// A machine with these files.
    pub(crate) fn machine(dir: &Path, files: &[(&str, &str)]) -> Dmi {
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
        Dmi::at(dir)
    }

    #[test]
    fn instance_is_believed_where_the_hardware_says_the_same() {
        let id = "i-0123456789abcdef0";
        for (files, amazon, instance) in [
            (
                &[("dmi/sys_vendor", AMAZON), ("dmi/board_asset_tag", id)][..],
                true,
                true,
            ),
            (
                &[
                    ("dmi/sys_vendor", AMAZON),
                    ("dmi/board_asset_tag", "i-0fedcba9876543210"),
                ],
                true,
                false,
            ),
            (&[("dmi/sys_vendor", AMAZON)], true, false),
            (&[("dmi/sys_vendor", "QEMU"), ("dmi/board_asset_tag", id)], false, false),
            (
                &[
                    ("dmi/sys_vendor", XEN),
                    ("hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef"),
                ],
                true,
                true,
            ),
            (
                &[
                    ("dmi/sys_vendor", XEN),
                    ("dmi/product_uuid", "EC2E1916-9099-7CAF-FD21-012345ABCDEF"),
                ],
                true,
                true,
            ),
            (
                &[
                    ("dmi/sys_vendor", XEN),
                    ("hypervisor/uuid", "0123ec2e-9099-7caf-fd21-012345abcdef"),
                ],
                false,
                false,
            ),
            (&[], false, false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let dmi = machine(dir.path(), files);
            assert_eq!((dmi.is_amazon(), dmi.is_instance(id)), (amazon, instance), "{files:?}");
        }
    }
}
