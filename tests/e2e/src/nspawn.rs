//! A whole machine: Debian with systemd, Docker and cloud-init, booted in namespaces of its own.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::repository::cache;
use crate::wait;

const BOOT: Duration = Duration::from_mins(2);
/// Longest time for one command inside, seconds.
const COMMAND_SECONDS: u32 = 120;

/// Runs in mount and process namespaces that end with it. Its cgroups are its own, so that two machines do not meet.
const SCRIPT: &str = r#"
rootfs=$1 dir=$2 name=$3
mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$dir/upper,workdir=$dir/work" "$dir/root" || exit
live() (
    for hierarchy in $(awk '$3 == "cgroup2" || $4 ~ /name=systemd/ { print $2 }' /proc/mounts); do
        mkdir -p "$hierarchy/$name" && echo 0 >"$hierarchy/$name/cgroup.procs" || exit
    done
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_TMPFS_TMP=0
    chain=
    [ ! -d "$dir/chain" ] || chain=--bind=$dir/chain:/var/lib/t0rn-collator
    # Docker's own file systems cannot lie on an overlay.
    exec systemd-nspawn --quiet --register=no --keep-unit --directory="$dir/root" --machine="$name" \
        --private-network --boot --console=pipe --capability=all --system-call-filter='add_key keyctl bpf' \
        --bind="$dir/docker:/var/lib/docker" --bind="$dir/containerd:/var/lib/containerd" $chain
)
# So nspawn says that the machine wants to be booted anew.
while live; [ $? = 133 ]; do :; done
"#;

/// Skips the test where no machine can be booted.
#[macro_export]
macro_rules! machine_or_skip {
    () => {
        if let Some(reason) = $crate::nspawn::NspawnMachine::unavailable() {
            $crate::skip!(reason);
        }
    };
}

/// A running machine, gone with the value. It has no network but its own.
#[derive(Debug)]
pub struct NspawnMachine {
    name: String,
    dir: TempDir,
    nspawn: Child,
}

impl NspawnMachine {
    /// Why none can be booted here; `None` when one can.
    pub fn unavailable() -> Option<String> {
        if !geteuid().is_root() {
            return Some("booting a machine needs root".to_owned());
        }
        let rootfs = rootfs();
        if !rootfs.join("usr/sbin/dockerd").exists() {
            return Some(format!("{} is missing: tests/tools/setup rootfs", rootfs.display()));
        }
        let mut probe = Command::new("systemd-nspawn");
        probe.args([
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--read-only",
            "--private-network",
        ]);
        probe
            .arg("--directory")
            .arg(fs::canonicalize(rootfs).ok()?)
            .arg("/bin/true");
        match wait::run(60, &mut probe) {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(format!(
                "systemd-nspawn: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Some(format!("{error:#}")),
        }
    }

    /// Boots one, and waits until it and its Docker are up. `prepare` gets the root folder, into which it may put files
    /// beforehand.
    ///
    /// # Errors
    /// It does not come up within two minutes.
    pub fn boot(prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        Self::start(|dir| prepare(&dir.join("upper")))
    }

    /// As [`Self::boot`], with a volume of its own for the chain.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn with_chain(prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        Self::start(|dir| {
            let chain = dir.join("chain");
            fs::create_dir(&chain)?;
            chown(&chain, Some(1000), Some(1000))?;
            prepare(&dir.join("upper"))
        })
    }

    /// Boots another machine from the volumes that [`Self::power_off`] left in `image`, which stays as it is.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn from_image(image: &Path, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        Self::start(|dir| {
            copy_volumes(image, dir)?;
            prepare(&dir.join("upper"))
        })
    }

    /// Ends it as a stop of the instance does, and leaves its volumes in `image`.
    ///
    /// # Errors
    /// It does not end within two minutes, or there is no room.
    pub fn power_off(mut self, image: &Path) -> Result<()> {
        self.ok("systemctl poweroff")?;
        wait::exit(&mut self.nspawn, BOOT).context("the machine does not end")?;
        copy_volumes(self.dir.path(), image)
    }

    fn start(prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t0rn-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix("machine").tempdir()?;
        for folder in ["upper/root", "work", "root", "docker", "containerd"] {
            fs::create_dir_all(dir.path().join(folder))?;
        }
        prepare(dir.path())?;
        let nspawn = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-c", SCRIPT, "boot"])
            .args([fs::canonicalize(rootfs())?.as_path(), dir.path(), Path::new(&name)])
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.path().join("console"))?)
            .stderr(fs::File::create(dir.path().join("errors"))?)
            .spawn()
            .context("failed to run setpriv")?;
        let machine = Self { name, dir, nspawn };
        machine.wait_up()?;
        Ok(machine)
    }

    /// Boots it anew, and waits until it is up.
    ///
    /// # Errors
    /// It does not come up within two minutes.
    pub fn reboot(&self) -> Result<()> {
        self.awaits_reboot("systemctl reboot")
    }

    /// Runs a shell script inside, as [`Self::ok`] does, after which the machine boots again by itself; returns when it has.
    ///
    /// # Errors
    /// It does not within two minutes.
    pub fn awaits_reboot(&self, script: &str) -> Result<()> {
        let former = self.init()?;
        self.ok(script)?;
        // Watched from outside: whoever is inside while everything there is stopped hinders the end of it.
        wait::until("the end of the machine's former life", BOOT, || {
            ensure!(self.init()? != former, "it has not ended");
            Ok(())
        })?;
        self.wait_up()
    }

    fn wait_up(&self) -> Result<()> {
        let up = wait::until("the machine", BOOT, || {
            self.ok("systemctl is-system-running --wait | grep -E '^(running|degraded)$' && docker version")
        });
        up.map(drop).with_context(|| {
            let errors = fs::read_to_string(self.dir.path().join("errors")).unwrap_or_default();
            format!("the machine does not boot: {errors}")
        })
    }

    /// Runs a shell script inside as root, whatever comes of it.
    ///
    /// # Errors
    /// The machine does not run.
    pub fn run(&self, script: &str) -> Result<Output> {
        let mut command = Command::new("nsenter");
        command
            .args(["--all", "--target", &self.init()?.to_string()])
            .args([
                "env",
                "-i",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ])
            .args(["sh", "-c", script]);
        wait::run(COMMAND_SECONDS, &mut command)
    }

    /// Runs a shell script inside that has to succeed. Returns what it prints, trimmed.
    ///
    /// # Errors
    /// It ended with another code than 0; tells what it printed.
    pub fn ok(&self, script: &str) -> Result<String> {
        let output = self.run(script)?;
        let out = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let err = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{script}: {}: {out} {}",
            output.status,
            err.trim()
        );
        Ok(out)
    }

    /// A file of the machine, seen from here.
    ///
    /// # Errors
    /// The machine does not run.
    pub fn path(&self, inside: &str) -> Result<PathBuf> {
        Ok(format!("/proc/{}/root{inside}", self.init()?).into())
    }

    /// The process id of its init, seen from here.
    ///
    /// # Errors
    /// The machine does not run.
    pub fn init(&self) -> Result<u32> {
        let mut pid = self.nspawn.id();
        // setpriv became unshare, whose child is the shell, whose child became nspawn, whose child is init.
        for _ in 0..3 {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).context("it is gone")?;
            let Some(child) = children.split_whitespace().next() else {
                bail!("it does not run")
            };
            pid = child.parse()?;
        }
        Ok(pid)
    }
}

impl Drop for NspawnMachine {
    #[expect(clippy::print_stderr, reason = "the reader of a failed test needs it")]
    fn drop(&mut self) {
        // Shown with the output of a test that fails, and only then.
        eprintln!("--- end of the journal of {}", self.name);
        let journal = self.ok("journalctl --no-pager --output short-monotonic --lines 150");
        eprintln!("{}", journal.unwrap_or_else(|error| format!("{error:#}")));
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let cgroups = mounts
            .lines()
            .filter(|line| line.contains(" cgroup2 ") || line.contains("name=systemd"));
        for folder in cgroups.filter_map(|line| line.split(' ').nth(1)) {
            let folder = Path::new(folder).join(&self.name);
            // What ran in it is killed, and gone a moment later.
            let _ = wait::until("the cgroups to be empty", Duration::from_secs(10), || {
                let mut remove = Command::new("find");
                remove
                    .arg(&folder)
                    .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
                let _ = wait::run(10, &mut remove);
                ensure!(!folder.exists(), "{} is in use", folder.display());
                Ok(())
            });
        }
    }
}

/// What a machine writes: its own files over those of the root file system, its engine's, and its chain.
fn copy_volumes(from: &Path, to: &Path) -> Result<()> {
    for volume in ["upper", "docker", "containerd", "chain"] {
        let from = from.join(volume);
        if !from.exists() {
            continue;
        }
        fs::create_dir_all(to.join(volume))?;
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--no-target-directory"])
            .arg(from)
            .arg(to.join(volume));
        let output = wait::run(COMMAND_SECONDS, &mut copy)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The file system that every machine starts from, made by `tests/tools/setup rootfs`.
pub fn rootfs() -> PathBuf {
    cache().join("rootfs")
}
