//! Numbers that no other test process on this machine takes meanwhile: ports of 127.0.0.1, and subnets.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Below the range from which the kernel takes ports for outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A number that is reserved by a lock on a file until the value is dropped, also against other processes.
#[derive(Debug)]
pub struct Reservation {
    number: u16,
    _lock: File,
}

impl Reservation {
    /// The first number of `range`, counted from one that depends on the process, that is neither reserved for `purpose`
    /// nor refused by `usable`.
    ///
    /// # Errors
    /// All are taken, or the lock files cannot be made.
    pub fn of(purpose: &str, range: std::ops::Range<u16>, usable: impl Fn(u16) -> bool) -> Result<Self> {
        let locks = env::temp_dir().join(format!("t0rn-agent-tests-{purpose}"));
        fs::create_dir_all(&locks)?;
        let count = u32::from(range.end - range.start);
        let start = std::process::id().wrapping_mul(7);
        for step in 0..count {
            let number = range.start + u16::try_from(start.wrapping_add(step) % count)?;
            let lock = File::create(locks.join(number.to_string()))?;
            if lock.try_lock().is_ok() && usable(number) {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no number of {range:?} is left for {purpose}")
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A reserved port of 127.0.0.1 on which nothing listens.
#[derive(Debug)]
pub struct Port(Reservation);

impl Port {
    /// # Errors
    /// As [`Reservation::of`].
    pub fn free() -> Result<Self> {
        let unused = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        Reservation::of("ports", PORTS, unused).map(Self)
    }

    pub fn number(&self) -> u16 {
        self.0.number()
    }
}
