//! Ports of 127.0.0.1 that nobody else takes meanwhile.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below the range from which the kernel takes ports for outgoing connections.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port that is this process's own until the value is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// A port on which nothing listens and that no other test run holds.
    ///
    /// # Errors
    /// All are taken, or the lock files cannot be made.
    pub fn free() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let locks = std::env::temp_dir().join("t0rn-agent-tests-ports");
        fs::create_dir_all(&locks)?;
        let start = u16::try_from(std::process::id() % u32::from(COUNT))?.wrapping_mul(7);
        for _ in 0..COUNT {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let number = FIRST + offset;
            let lock = File::create(locks.join(number.to_string()))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no port between {FIRST} and {} is free", FIRST + COUNT)
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}
