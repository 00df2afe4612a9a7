//! The Debian package on a booted machine. `make package` runs these: they need what it builds and sets up.

mod host;
mod life;
mod quality;
mod removal;
mod repository;
mod takeover;
mod upgrades;
