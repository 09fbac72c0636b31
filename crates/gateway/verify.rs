//! Passwords are verified off the I/O threads, few at a time and fairly among the addresses they come from.
//!
//! Verifying costs milliseconds of CPU by design. A storm of bad logins must not become a storm of CPU, and must
//! not keep a good login from another address waiting behind it: addresses take turns.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use config::Secret;
use policy::credential::Settled;
use tokio::sync::oneshot;

/// Logins of one address that wait their turn; more are turned away.
const WAITING_PER_ADDRESS_MAX: usize = 128;

/// Logins that wait in all; more are turned away.
const WAITING_MAX: usize = 8192;

/// How much lower the verifying threads' priority is than that of the threads that move bytes.
const NICE: i32 = 10;

/// One password to be verified.
struct Job {
    users: Arc<Settled>,
    user: String,
    password: Secret,
    done: oneshot::Sender<Option<Arc<str>>>,
}

/// Who waits, by address, and whose turn it is.
#[derive(Default)]
struct Turns {
    waiting: HashMap<IpAddr, VecDeque<Job>>,
    order: VecDeque<IpAddr>,
    len: usize,
    closed: bool,
}

/// The verifying threads' door.
pub struct Verifier {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    turns: Mutex<Turns>,
    more: Condvar,
}

/// Too many logins wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl Verifier {
    /// Starts `threads` verifying threads.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        for n in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("verify-{n}")).spawn(move || shared.work())?;
        }
        Ok(Self { shared })
    }

    /// The principal, if `password` is the user's, once `from` had its turn. `Err` when too many wait.
    pub async fn verify(
        &self,
        from: IpAddr,
        users: Arc<Settled>,
        user: String,
        password: Secret,
    ) -> Result<Option<Arc<str>>, Busy> {
        let (done, answer) = oneshot::channel();
        self.shared.enqueue(from, Job { users, user, password, done })?;
        answer.await.map_err(|_| Busy)
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.more.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, from: IpAddr, job: Job) -> Result<(), Busy> {
        let mut turns = self.lock();
        let waiting_here = turns.waiting.get(&from).map_or(0, VecDeque::len);
        if turns.len >= WAITING_MAX || waiting_here >= WAITING_PER_ADDRESS_MAX {
            return Err(Busy);
        }
        if waiting_here == 0 {
            turns.order.push_back(from);
        }
        turns.waiting.entry(from).or_default().push_back(job);
        turns.len += 1;
        drop(turns);
        self.more.notify_one();
        Ok(())
    }

    /// The next job: the first one of the address whose turn it is, which then goes behind the others.
    fn next(&self) -> Option<Job> {
        let mut turns = self.lock();
        loop {
            if turns.closed {
                return None;
            }
            if let Some(job) = turns.take() {
                // Nobody waits for this answer any more: the client left.
                if !job.done.is_closed() {
                    return Some(job);
                }
                continue;
            }
            turns = self.more.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) {
        // Without the right to do so the threads keep the common priority, which is fair enough.
        let _ = rustix::process::nice(NICE);
        while let Some(Job { users, user, password, done }) = self.next() {
            let _ = done.send(users.verify(&user, password.expose().as_bytes()));
        }
    }
}

impl Turns {
    fn take(&mut self) -> Option<Job> {
        let from = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&from)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&from);
        } else {
            self.order.push_back(from);
        }
        self.len -= usize::from(job.is_some());
        job
    }
}
