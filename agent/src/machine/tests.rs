//! The core's promises. Each test drives a small [`rig::Rig`]: a node whose behaviour the test sets, looked
//! at every five seconds, with every action of the core carried out at once.

mod cures;
mod faults;
mod hands;
mod operator;
mod properties;
mod resume;
mod rig;
mod verdicts;
mod witness;
