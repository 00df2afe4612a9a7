//! What goes on the machine image (`ami/`), and what may not (`packer/validate`). `make image` runs these: they need what
//! it builds and sets up.

mod baked;
mod boot;
mod hygiene;
mod late_metadata;
mod plants;
mod quality;
mod user_data;
mod volume;
