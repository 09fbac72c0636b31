//! Passwords are verified off the I/O threads, few at a time and fairly among the addresses they come from.
//!
//! Verifying costs milliseconds of CPU by design. A storm of bad logins must not become a storm of CPU, and must
//! not keep a good login from another address waiting behind it: addresses take turns.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use config::Secret;
use policy::credential::Settled;
use policy::remembered::Remembered;
use policy::sasl::Verified;
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
    done: oneshot::Sender<Verified>,
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

struct Shared {
    turns: Mutex<Turns>,
    more: Condvar,
    /// Passwords that were verified lately.
    remembered: Remembered,
}

impl Verifier {
    /// Starts `threads` verifying threads.
    pub fn start(threads: usize, remembered: Remembered) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { turns: Mutex::default(), more: Condvar::new(), remembered });
        for n in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("verify-{n}")).spawn(move || shared.work())?;
        }
        Ok(Self { shared })
    }

    /// Whether `password` is the user's: remembered, or verified at the price of some milliseconds, once `from` has its
    /// turn. [`Verified::Unavailable`] when too many wait.
    pub async fn verify(
        &self,
        from: IpAddr,
        users: Arc<Settled>,
        user: String,
        password: Secret,
    ) -> Verified {
        if let Some(principal) = self.shared.recalled(&users, &user, &password) {
            return Verified::Known(principal);
        }
        let (done, answer) = oneshot::channel();
        if !self.shared.enqueue(from, Job { users, user, password, done }) {
            return Verified::Unavailable;
        }
        answer.await.unwrap_or(Verified::Unavailable)
    }

    /// Forgets everyone who is not among the users any more.
    pub fn retain(&self, users: &Settled) {
        self.shared.remembered.retain(users);
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

    /// The principal, if this password of its was verified before.
    fn recalled(&self, users: &Settled, user: &str, password: &Secret) -> Option<Arc<str>> {
        let credential = users.get(user)?;
        let is_known = self.remembered.knows(user, credential, password.expose().as_bytes());
        is_known.then(|| users.principal(user)).flatten()
    }

    /// Whether the job may wait for its turn.
    fn enqueue(&self, from: IpAddr, job: Job) -> bool {
        let mut turns = self.lock();
        let waiting_here = turns.waiting.get(&from).map_or(0, VecDeque::len);
        if turns.len >= WAITING_MAX || waiting_here >= WAITING_PER_ADDRESS_MAX {
            return false;
        }
        if waiting_here == 0 {
            turns.order.push_back(from);
        }
        turns.waiting.entry(from).or_default().push_back(job);
        turns.len += 1;
        drop(turns);
        self.more.notify_one();
        true
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
            let _ = done.send(self.judge(&users, &user, &password));
        }
    }

    /// Many connections of one user come at once after a restart: the first is verified, and those that waited behind it
    /// are remembered.
    fn judge(&self, users: &Settled, user: &str, password: &Secret) -> Verified {
        if let Some(principal) = self.recalled(users, user, password) {
            return Verified::Known(principal);
        }
        let password = password.expose().as_bytes();
        let Some(principal) = users.verify(user, password) else { return Verified::Unknown };
        if let Some(credential) = users.get(user) {
            self.remembered.remember(user, credential, password);
        }
        Verified::Known(principal)
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

#[cfg(test)]
mod tests {
    use config::{Credential, User, Users};
    use policy::credential::{derive, settle};

    use super::*;

    #[test]
    fn who_waits_behind_the_same_login_is_remembered_when_its_turn_comes() {
        let of_another = derive(b"another", &[1; 16], 4096);
        let users =
            Users::new([User { name: "alice".into(), credential: Credential::Scram(of_another.clone()) }]);
        let users = settle(&users, || [0; 16]);
        let (turns, more) = (Mutex::default(), Condvar::new());
        let shared = Shared { turns, more, remembered: Remembered::new([7; 32]) };
        let password = Secret::new("secret");
        assert_eq!(shared.judge(&users, "alice", &password), Verified::Unknown);
        // Verified, it would be refused: that it is known tells where the answer came from.
        shared.remembered.remember("alice", &of_another, b"secret");
        assert_eq!(shared.judge(&users, "alice", &password), Verified::Known("alice".into()));
    }
}
