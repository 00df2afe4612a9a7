//! What the fuzz targets share: their form, and the limit of the memory that one input may take.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A target of libFuzzer for a check, which panics at bytes that break a property.
#[macro_export]
macro_rules! target {
    ($check:path) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $check(data));
    };
}

/// Most bytes in use at a time. The largest document that is read whole has 16 MiB, and inputs are far smaller.
const MOST: usize = 128 << 20;

struct Limited {
    used: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Limited = Limited {
    used: AtomicUsize::new(0),
};

impl Limited {
    fn take(&self, size: usize) {
        let used = self.used.fetch_add(size, Ordering::Relaxed);
        if size > MOST || used.saturating_add(size) > MOST {
            // libFuzzer keeps the input of an abort.
            std::process::abort();
        }
    }
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.take(size);
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}
