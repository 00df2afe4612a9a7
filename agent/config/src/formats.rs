//! The formats of texts: each parser with the regular expression that the schema has for it.
//!
//! An expression refuses nothing that a person would write and the parser accepts; it may accept more.

use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

use crate::image_reference::{parse_image, parse_repository};
use crate::names;
use crate::shape::Text;
use crate::types::{ContainerUser, PublishedPort};
use crate::values;

/// A path from the root, of these characters, without `..`, and not the root itself.
macro_rules! path {
    ($head:literal, $character:literal) => {
        concat!("^", $head, r"(?!.*/\.\.(?:/|$))(?!/[./]*$)/", $character, "*$")
    };
}

/// A repository, its registry included.
macro_rules! repository {
    () => {
        concat!(
            r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:)|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?/)?",
            r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
        )
    };
}

/// An address in numbers, IPv6 in brackets.
macro_rules! address {
    () => {
        r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.%]+\])"
    };
}

/// 1 to 65535
macro_rules! port {
    () => {
        r"0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}

/// What follows the scheme of a URL, without user and password.
macro_rules! url {
    ($rest:literal) => {
        concat!(r":[/\\]*[^/\\?#@]+(?:[/\\?]", $rest, "*)?$")
    };
}

pub(crate) const ARGUMENT: Text<String> = Text {
    parse: values::argument,
    pattern: r"^[^\x00]*$",
};
pub(crate) const PATH: Text<PathBuf> = Text {
    parse: values::path,
    pattern: path!("", r"[^\x00-\x1f\x7f]"),
};
pub(crate) const LOGIN_FILE: Text<PathBuf> = Text {
    parse: values::login_file,
    ..PATH
};
pub(crate) const SOCKET: Text<PathBuf> = Text {
    parse: values::socket,
    pattern: path!("(?=.{1,107}$)", r"[^\x00-\x1f\x7f]"),
};
/// One side of a bind mount.
pub(crate) const BIND: Text<PathBuf> = Text {
    parse: values::bind,
    pattern: path!("", r"[^:\x00-\x1f\x7f]"),
};
pub(crate) const IMAGE: Text<String> = Text {
    parse: parse_image,
    pattern: concat!(
        "^",
        repository!(),
        r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$"
    ),
};
pub(crate) const REPOSITORY: Text<String> = Text {
    parse: parse_repository,
    pattern: concat!("^", repository!(), "$"),
};
pub(crate) const NAME: Text<String> = Text {
    parse: names::name,
    pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$",
};
pub(crate) const NETWORK: Text<String> = Text {
    parse: names::network,
    pattern: "^(?!none$)[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$",
};
pub(crate) const PORT: Text<PublishedPort> = Text {
    parse: names::port,
    pattern: concat!("^(?:", address!(), ":)?", port!(), ":", port!(), "(?:/(?:tcp|udp))?$"),
};
pub(crate) const USER: Text<ContainerUser> = Text {
    parse: names::user,
    pattern: "^[0-9]+:[0-9]+$",
};
pub(crate) const CAPABILITY: Text<String> = Text {
    parse: names::capability,
    pattern: "^(?:CAP_)?[A-Z_]+$",
};
pub(crate) const PREFIX: Text<String> = Text {
    parse: names::prefix,
    pattern: "^[A-Za-z](?:[A-Za-z0-9_]{0,62}[A-Za-z0-9])?$",
};
pub(crate) const LISTEN: Text<SocketAddr> = Text {
    parse: names::listen,
    pattern: concat!("^", address!(), ":[0-9]{1,5}$"),
};
pub(crate) const HOST_NAME: Text<String> = Text {
    parse: names::host_name,
    pattern: r"^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$",
};
pub(crate) const HTTP: Text<String> = Text {
    parse: names::http,
    pattern: concat!(r"^\s*[Hh][Tt][Tt][Pp]", url!("[^#]")),
};
pub(crate) const REFERENCE: Text<Url> = Text {
    parse: names::reference,
    pattern: concat!(r"^\s*[Hh][Tt][Tt][Pp][Ss]?", url!("[^#]")),
};
pub(crate) const WEBHOOK: Text<String> = Text {
    parse: names::webhook,
    pattern: concat!(r"^\s*[Hh][Tt][Tt][Pp][Ss]?", url!(".")),
};
pub(crate) const VOLUME: Text<String> = Text {
    parse: names::volume,
    pattern: "^vol-[0-9a-f]{8,17}$",
};
pub(crate) const HOOK: Text<String> = Text {
    parse: names::hook,
    pattern: "^[A-Za-z0-9_/-]{0,255}$",
};
/// The name of an environment variable.
pub(crate) const VARIABLE: &str = r"^[^=\x00]+$";

/// Number and unit, several of them, a clock's time, or a duration of ISO 8601; see [`crate::parse_duration`].
pub(crate) const DURATION: &str = concat!(
    r"^\s*\+?(?:[Pp][0-9DdHhMmSsTtWw.,]+|(?:[0-9]+(?:[.,][0-9]+)?\s*",
    r"(?:w(?:ks?|eeks?)?|d(?:ays?)?|h(?:rs?|ours?)?|m(?:ins?|inutes?)?|(?:[mnuµ]|milli|micro|nano)?s(?:ecs?|econds?)?|",
    r"millis?|micros?|nanos?)(?:\s*,\s*|\s*))+(?:[0-9]+:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?)?|",
    r"[0-9]+:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?)\s*$"
);
/// See [`crate::parse_size`].
pub(crate) const SIZE: &str = r"^\s*[0-9]+\s*(?:[KMGT]iB|[kMGT]?B)?\s*$";
