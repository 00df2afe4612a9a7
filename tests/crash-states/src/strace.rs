//! Runs a test under strace, and reads what strace wrote.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::DIR;

/// Calls that change files or lead to them, and those that are refused because they are not modelled.
const CALLS: &str = "trace=open,openat,openat2,creat,close,dup,dup2,dup3,fcntl,read,readv,lseek,write,writev,pwrite64,pwritev,\
    pwritev2,truncate,ftruncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,\
    mkdirat,rmdir,fsync,fdatasync,syncfs,sync,chmod,fchmod,fchmodat,chown,lchown,fchown,fchownat,statx,chdir,fchdir,\
    copy_file_range,sendfile,splice,mknod,mknodat,setxattr,fsetxattr,ioctl,io_uring_enter";

/// One system call that succeeded, or a look at a path that marks a step.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    pub(crate) result: i64,
}

impl Call {
    pub(crate) fn arg(&self, index: usize) -> Result<&str> {
        let arg = self.args.get(index).map(String::as_str);
        arg.with_context(|| format!("{self:?} has no argument {index}"))
    }

    /// The bytes of all strings in an argument.
    pub(crate) fn bytes(&self, index: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (number, part) in self.arg(index)?.split('"').enumerate() {
            if number % 2 == 0 {
                ensure!(!part.starts_with("..."), "{}: a string is cut", self.name);
                continue;
            }
            for digits in part.split("\\x").skip(1) {
                bytes.push(u8::from_str_radix(digits, 16).with_context(|| part.to_owned())?);
            }
        }
        Ok(bytes)
    }

    pub(crate) fn number(&self, index: usize) -> Result<u64> {
        number(self.arg(index)?)
    }
}

/// A number as strace prints it: decimal, octal or hexadecimal.
pub(crate) fn number(text: &str) -> Result<u64> {
    let text = text.trim();
    let parsed = if let Some(digits) = text.strip_prefix("0x") {
        u64::from_str_radix(digits, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        u64::from_str_radix(text, 8)
    } else {
        text.parse()
    };
    parsed.with_context(|| format!("{text} is no number"))
}

/// Why nothing can be recorded here; `None` when it can.
pub(crate) fn unavailable(mounts: bool) -> Option<String> {
    let succeeds = |command: &mut Command| {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    if !succeeds(Command::new("strace").args(["-f", "-o", "/dev/null", "true"])) {
        return Some("strace is missing or may not trace: tests/tools/setup strace".to_owned());
    }
    if mounts && !succeeds(Command::new("unshare").args(["--mount", "true"])) {
        return Some("a file system of its own needs root".to_owned());
    }
    None
}

/// Runs that test of this binary once more, with `root` to work in.
pub(crate) fn record(test: &str, root: &Path, size: Option<&str>) -> Result<Vec<Call>> {
    let (binary, log) = (std::env::current_exe()?, root.with_extension("strace"));
    let mut command = if let Some(size) = size {
        let script = r#"mount -t tmpfs -o size="$1" tmpfs "$0" && mkdir "$0/root" && shift && exec "$@""#;
        let mut command = Command::new("unshare");
        let place = root.parent().context("no parent")?;
        // What strace writes must not fill it.
        let mounted = place.join("mounted");
        fs::create_dir(&mounted)?;
        command
            .args(["--mount", "sh", "-c", script])
            .arg(mounted)
            .arg(size)
            .arg("strace");
        command
    } else {
        Command::new("strace")
    };
    let root = size.map_or_else(|| root.to_owned(), |_| mounted_root(root));
    command
        .args(["-f", "-qq", "-xx", "-s", "16777216", "-e", CALLS, "-o"])
        .arg(&log);
    command
        .arg(binary)
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(DIR, &root);
    let output = command.stdin(Stdio::null()).output().context("strace cannot be run")?;
    let said = [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    ensure!(output.status.success(), "the run to be recorded failed: {said}");
    ensure!(said.contains("1 passed"), "{test} is no test: {said}");
    parse(&fs::read_to_string(&log)?)
}

/// Where [`record`] mounts a file system of its own, instead of `root`.
pub(crate) fn mounted_root(root: &Path) -> std::path::PathBuf {
    root.with_file_name("mounted").join("root")
}

fn parse(log: &str) -> Result<Vec<Call>> {
    let (mut calls, mut unfinished) = (Vec::new(), HashMap::new());
    for line in log.lines() {
        let (pid, rest) = line.split_once(' ').with_context(|| line.to_owned())?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        let whole = if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid.to_owned(), begin.to_owned());
            continue;
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, end) = resumed.split_once(" resumed>").with_context(|| line.to_owned())?;
            unfinished.remove(pid).unwrap_or_default() + end
        } else {
            rest.to_owned()
        };
        calls.extend(parse_call(&whole).with_context(|| whole.chars().take(300).collect::<String>())?);
    }
    Ok(calls)
}

/// `None` for a call that failed and marks nothing.
fn parse_call(line: &str) -> Result<Option<Call>> {
    let (name, rest) = line.split_once('(').context("no call")?;
    let (args, result) = rest.rsplit_once(" = ").context("no result")?;
    let args = args.trim_end().strip_suffix(')').context("no end")?;
    let result = result.split(' ').next().unwrap_or_default();
    let result = result.parse().unwrap_or(if result.starts_with("0x") { 0 } else { -1 });
    if result < 0 && name != "statx" {
        return Ok(None);
    }
    let (name, args) = (name.to_owned(), split(args)?);
    Ok(Some(Call { name, args, result }))
}

/// Arguments, which may be structures. Strings are hexadecimal, and have none of these characters.
fn split(args: &str) -> Result<Vec<String>> {
    let (mut parts, mut depth) = (vec![String::new()], 0_usize);
    for c in args.chars() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.checked_sub(1).context("unbalanced")?,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if !part.is_empty() || c != ' ' => part.push(c),
            Some(_) => {}
            None => bail!("no part"),
        }
    }
    Ok(parts)
}
