//! The threads of the wasm build that has any: started once by the page's worker, each runs [`serve`] for good. Work
//! comes hundreds of times a token, so a thread that has finished looks for more for a moment before it sleeps.

use std::arch::wasm32::{memory_atomic_notify, memory_atomic_wait32};
use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::SeqCst};

/// Looks for work before a thread sleeps: about a tenth of a millisecond, which outlasts the choice of a token.
const PATIENCE: u32 = 5_000;
/// Looks at a thread that does not finish its part before it is given up: some minutes.
const GIVEN_UP: u64 = 1 << 33;

/// A moment in which a thread leaves the core to another one that shares it. WebAssembly has no instruction for that; a
/// chain of divisions takes time and next to nothing of what a core has.
#[inline(always)]
fn pause() {
    let mut x = black_box(1.0f64);
    for _ in 0..4 {
        x = 1.5 / x;
    }
    black_box(x);
}

/// One call of [`run`].
struct Job<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    parts: usize,
    /// The first part that nobody has begun.
    next: AtomicUsize,
}

/// The job that may be joined; null between jobs.
static JOB: AtomicPtr<Job<'static>> = AtomicPtr::new(null_mut());
/// Changes with every job.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Threads that may be looking at `JOB`.
static INSIDE: AtomicU32 = AtomicU32::new(0);
static ASLEEP: AtomicU32 = AtomicU32::new(0);
static THREADS: AtomicU32 = AtomicU32::new(1);
/// Whether a job is under way: what it starts in turn runs on the thread that starts it.
static BUSY: AtomicBool = AtomicBool::new(false);

impl Job<'_> {
    fn take_part(&self) {
        loop {
            let part = self.next.fetch_add(1, SeqCst);
            if part >= self.parts {
                break;
            }
            (self.work)(part);
        }
    }
}

/// How many threads work, the caller of [`run`] among them.
pub fn threads() -> u32 {
    THREADS.load(SeqCst)
}

/// Does `work` on every part, in no order, on all threads.
pub fn run(parts: usize, work: &(dyn Fn(usize) + Sync)) {
    if parts <= 1 || threads() == 1 || BUSY.swap(true, SeqCst) {
        (0..parts).for_each(work);
        return;
    }
    let mut job = Job { work, parts, next: AtomicUsize::new(0) };
    JOB.store((&raw mut job).cast(), SeqCst);
    COUNT.fetch_add(1, SeqCst);
    if ASLEEP.load(SeqCst) > 0 {
        // SAFETY: the address is that of a static.
        unsafe { memory_atomic_notify(COUNT.as_ptr().cast(), u32::MAX) };
    }
    job.take_part();
    JOB.store(null_mut(), SeqCst);
    // Whoever enters from now on sees that there is no job; who is inside already finishes a part.
    let mut looks = 0u64;
    while INSIDE.load(SeqCst) != 0 {
        looks += 1;
        assert!(looks < GIVEN_UP, "expected the threads to finish, found one that does not");
        pause();
    }
    BUSY.store(false, SeqCst);
}

/// Works for [`run`], for good.
pub fn serve() -> ! {
    let mut seen = COUNT.load(SeqCst);
    THREADS.fetch_add(1, SeqCst);
    loop {
        let mut looks = 0;
        while COUNT.load(SeqCst) == seen {
            looks += 1;
            if looks < PATIENCE {
                pause();
                continue;
            }
            ASLEEP.fetch_add(1, SeqCst);
            // SAFETY: the address is that of a static. A job that began meanwhile has changed the value: then this
            // returns at once.
            unsafe { memory_atomic_wait32(COUNT.as_ptr().cast(), seen as i32, -1) };
            ASLEEP.fetch_sub(1, SeqCst);
        }
        seen = COUNT.load(SeqCst);
        INSIDE.fetch_add(1, SeqCst);
        // SAFETY: `run` clears the pointer and then waits until nobody is inside before its job goes away.
        if let Some(job) = unsafe { JOB.load(SeqCst).as_ref() } {
            job.take_part();
        }
        INSIDE.fetch_sub(1, SeqCst);
    }
}
