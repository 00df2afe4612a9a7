//! The image: its template, its pipeline, and a bake that is booted. `make bake-test` runs these: they need what it builds
//! and sets up.

mod account;
mod bake;
mod boot;
mod boot_test;
mod builder;
mod eventual;
mod pipeline;
mod refusals;
mod roles;
mod seed;
mod session;
mod stale;
mod template;
mod vendor;
