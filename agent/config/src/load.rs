//! Reads a configuration from a file or a text.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::error::{ConfigError, DENIED};
use crate::reader::DocumentReader;
use crate::sections;
use crate::types::Config;

/// Size of the largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;

impl Config {
    /// Reads and validates a file of at most 1 MiB.
    ///
    /// The error has one problem for each mistake in the file; a file that cannot be read is one problem without a
    /// line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&Self::read(path)?, &path.display().to_string())
    }

    /// Reads the text of a file of at most 1 MiB.
    ///
    /// The error has one problem: why it cannot be read.
    pub fn read(path: &Path) -> Result<String, ConfigError> {
        let file = path.display().to_string();
        let fail = |found: &str, remedy: &str| Err(ConfigError::file(&file, None, found, remedy));
        let is_pipe = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
        // A shell's process substitution lies in one of these and has a writer; opening any other pipe could block.
        if is_pipe && !["/dev", "/proc"].iter().any(|dir| path.starts_with(dir)) {
            return fail("is a pipe", "name a file");
        }
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            return match error.kind() {
                ErrorKind::NotFound => fail(
                    "there is no such file",
                    "write one, beginning with `t0rn-agent config default`, or name another with --config",
                ),
                ErrorKind::IsADirectory => fail(
                    "is a directory",
                    &format!("name the file in it, such as {}", path.join("agent.toml").display()),
                ),
                ErrorKind::PermissionDenied => fail(
                    DENIED,
                    "make it readable for the user that runs this command, or run it as root",
                ),
                _ => fail(&format!("cannot be read: {error}"), "check the file and its disk"),
            };
        }
        if bytes.len() as u64 > LARGEST {
            return fail("is larger than 1 MiB", "name a configuration file of the agent");
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return fail("is UTF-16 text", "save it as UTF-8");
        }
        String::from_utf8(bytes).map_err(|error| {
            let (valid, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
            let line = valid.split(|b| *b == b'\n').count();
            let found = format!("byte 0x{:02x} is not UTF-8", rest[0]);
            ConfigError::file(&file, Some(line), found, "save the file as UTF-8")
        })
    }

    /// Validates TOML text. `file` is its name in problems.
    ///
    /// Text that is not valid TOML has its syntax errors as problems; otherwise every unknown key, unusable value
    /// and contradiction is a problem of its own.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            let remedy = "write at least [collator] with its image: `t0rn-agent config default` shows every key";
            return Err(ConfigError::file(file, None, "is empty", remedy));
        }
        let (root, errors) = toml::de::DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            // The rest is the parser's guess: problems in it would not be the user's.
            return Err(ConfigError::syntax(text, file, &errors));
        }
        let mut document = DocumentReader::new(text, file, root.get_ref());
        let config = sections::config(&mut document);
        document.finish(config)
    }
}
