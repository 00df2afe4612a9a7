//! The commands: one file each, with its arguments and what it does.

pub(crate) mod bake;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod identity;
pub(crate) mod incidents;
pub(crate) mod logs;
pub(crate) mod notify;
mod quiesce;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod update;
