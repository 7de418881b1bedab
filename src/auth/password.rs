//! Passwords: Argon2id for new ones, and bcrypt as the originals stored it. Both are slow and take much memory, so few run at once, beside the async
//! threads. Whose password it is, and where hashes are kept, is not known here.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::password_hash::{Error as HashError, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::fingerprint;
use crate::domain::account::PasswordHash;
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::LoginId;
use crate::domain::ports::{Passwords, Verdict};

/// What a new hash costs, as OWASP advises: 19 MiB, two passes, one lane. Hashes that cost less are old.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many run at once, whatever the number of cores; each takes 19 MiB.
const MOST_AT_ONCE: usize = 4;
/// How many more callers may wait for their turn.
const MOST_WAITING: usize = 64;
/// What bcrypt hashes begin with. `$2x$` marks those of a faulty implementation, which are not believed.
const BCRYPT: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
/// A hash of the present kind that no known password has, for accounts that do not exist.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$Vm90ZSBmb3Igbm9ib2R5LCBub2JvZHkgY2FyZXMgbW8";

/// Hashes and checks passwords, as many at once as there are cores, at most four. Each has its memory, which is used again and again: given back,
/// it would stay with whichever thread had it, and there are many.
pub struct Hasher {
    turns: Turns,
    memories: Arc<Memories>,
}

impl Hasher {
    /// Ready for this machine.
    pub fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { turns: Turns::new(cores.min(MOST_AT_ONCE), MOST_WAITING), memories: Arc::default() }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Passwords for Hasher {
    fn fingerprint(&self, secret: &str) -> LoginId {
        LoginId::stored(fingerprint::of(secret))
    }

    async fn hash(&self, password: &str) -> Result<PasswordHash, Error> {
        let (password, memories) = (password.to_owned(), Arc::clone(&self.memories));
        let hash = self.turns.run(move || memories.lend(|memory| hash(password.as_bytes(), memory))).await?;
        hash.map_err(|error| Error::Internal(StoreError::Corrupt(format!("password not hashed: {error}"))))
    }

    async fn check(&self, password: &str, hash: Option<&PasswordHash>) -> Result<Verdict, Error> {
        let (password, hash, memories) = (password.to_owned(), hash.cloned(), Arc::clone(&self.memories));
        let judged = move |memory: &mut Memory| judge(password.as_bytes(), hash.as_ref().map(PasswordHash::expose), memory);
        self.turns.run(move || memories.lend(judged)).await
    }
}

/// The memory of one hash of the present kind.
type Memory = Vec<Block>;

/// The memories that no hash uses now.
#[derive(Default)]
struct Memories {
    idle: Mutex<Vec<Memory>>,
}

impl Memories {
    /// Does the work with one of the memories, new or used. After a panic it is not used again.
    fn lend<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = idle().pop();
        let mut memory = memory.unwrap_or_default();
        let done = work(&mut memory);
        idle().push(memory);
        done
    }
}

fn hash(password: &[u8], memory: &mut Memory) -> Result<PasswordHash, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let written = ParamsString::try_from(&params)?;
    let (salt, mut out) = (Salt::new(&try_generate_salt()?)?, [0; Params::DEFAULT_OUTPUT_LEN]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    fill(&argon2, password, &salt, &mut out, memory)?;
    let hash = Phc {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: written,
        salt: Some(salt),
        hash: Some(Output::new(&out)?),
    };
    Ok(PasswordHash::stored(hash.to_string()))
}

/// Computes a hash in this memory. One that takes more than those of the present kind gets more, and gives it back.
fn fill(argon2: &Argon2<'_>, password: &[u8], salt: &[u8], out: &mut [u8], memory: &mut Memory) -> Result<(), argon2::Error> {
    if argon2.params().block_count() > MEMORY_KIB as usize {
        return argon2.hash_password_into(password, salt, out);
    }
    memory.resize(MEMORY_KIB as usize, Block::new());
    argon2.hash_password_into_with_memory(password, salt, out, memory)
}

/// A hash that is missing or cannot be read costs as much as one of the present kind, so that the time does not tell who has an account. One of
/// bcrypt's takes the time that its own cost asks for, until the first login replaces it.
fn judge(password: &[u8], hash: Option<&str>, memory: &mut Memory) -> Verdict {
    hash.and_then(|hash| compare(password, hash, memory)).unwrap_or_else(|| {
        compare(password, NOBODY, memory);
        Verdict::Wrong
    })
}

/// `None` where the hash cannot be read.
fn compare(password: &[u8], hash: &str, memory: &mut Memory) -> Option<Verdict> {
    let compared = if BCRYPT.iter().any(|kind| hash.starts_with(kind)) {
        compare_bcrypt(password, hash)
    } else {
        compare_argon2(password, hash, memory)
    };
    if let Err(why) = &compared {
        tracing::warn!("the stored hash of a password cannot be read: {why}; its account cannot log in until it gets a new password");
    }
    compared.ok()
}

/// bcrypt looks at the first 72 bytes only, so that a longer password is right with any end, as it was in the original. The new hash, made at that
/// login, takes all of what was typed.
fn compare_bcrypt(password: &[u8], hash: &str) -> Result<Verdict, String> {
    let right = bcrypt::verify(password, hash).map_err(|error| error.to_string())?;
    Ok(if right { Verdict::RightButOld } else { Verdict::Wrong })
}

fn compare_argon2(password: &[u8], hash: &str, memory: &mut Memory) -> Result<Verdict, String> {
    let parsed = Phc::new(hash).map_err(|error| error.to_string())?;
    match recompute(password, &parsed, memory) {
        // Their comparison takes the same time whatever differs.
        Ok(output) if parsed.hash != Some(output) => Ok(Verdict::Wrong),
        Ok(_) if is_old(&parsed) => Ok(Verdict::RightButOld),
        Ok(_) => Ok(Verdict::Right),
        Err(error) => Err(error.to_string()),
    }
}

/// What the stored hash would be of this password.
fn recompute(password: &[u8], stored: &Phc, memory: &mut Memory) -> Result<Output, HashError> {
    let (Some(salt), Some(hash)) = (&stored.salt, &stored.hash) else { return Err(HashError::EncodingInvalid) };
    let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(Algorithm::try_from(stored.algorithm.as_str())?, version, Params::try_from(stored)?);
    let mut out = vec![0; hash.len()];
    fill(&argon2, password, salt, &mut out, memory)?;
    Ok(Output::new(&out)?)
}

fn is_old(hash: &Phc) -> bool {
    let weak = |params: Params| params.m_cost() < MEMORY_KIB || params.t_cost() < PASSES;
    let other = hash.algorithm.as_str() != Algorithm::Argon2id.as_str() || hash.version != Some(Version::V0x13.into());
    other || Params::try_from(hash).map_or(true, weak)
}

/// Lets few works run at once, and few wait.
struct Turns {
    running: Arc<Semaphore>,
    present: Arc<Semaphore>,
}

impl Turns {
    fn new(at_once: usize, waiting: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(at_once)), present: Arc::new(Semaphore::new(at_once + waiting)) }
    }

    /// What `work` makes, when its turn has come.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let busy = || Error::Unavailable(StoreError::Unavailable("too many passwords wait to be checked".into()));
        let place = Arc::clone(&self.present).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            // A caller who goes away does not stop the work, which therefore holds its turn itself.
            let _held = (place, turn);
            work()
        });
        done.await.map_err(|error| Error::Internal(StoreError::Corrupt(format!("the work on a password broke off: {error}"))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;
    use std::time::Duration;

    use argon2::password_hash::PasswordHasher;

    use super::*;

    /// Hashes by another implementation, the system's `crypt`.
    const IMPORTED: [(&str, &str); 3] = [
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("correct horse", "$2b$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC"),
        ("pässword", "$2y$06$abcdefghijklmnopqrstuucAvzVZyxm.jXt0xAt3LTP7vrnE0I5rG"),
    ];

    async fn check(password: &str, hash: &str) -> Verdict {
        Hasher::new().check(password, Some(&PasswordHash::stored(hash))).await.unwrap()
    }

    fn argon2(algorithm: Algorithm, version: Version, memory: u32, passes: u32) -> String {
        let params = Params::new(memory, passes, 1, None).unwrap();
        Argon2::new(algorithm, version, params).hash_password(b"pass word").unwrap().to_string()
    }

    #[tokio::test]
    async fn a_hash_is_of_the_present_kind_and_salted() {
        let (first, second) = (Hasher::new().hash("pässword").await.unwrap(), Hasher::new().hash("pässword").await.unwrap());
        assert!(first.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", first.expose());
        assert_ne!(first.expose(), second.expose());
        assert_eq!(check("pässword", first.expose()).await, Verdict::Right);
        for wrong in ["", "pässwor", "pässword ", "Pässword", "password"] {
            assert_eq!(check(wrong, first.expose()).await, Verdict::Wrong, "{wrong}");
        }
    }

    #[tokio::test]
    async fn hashes_use_the_same_memory_again() {
        let hasher = Hasher::new();
        let made = hasher.hash("pass word").await.unwrap();
        for _ in 0..3 {
            assert_eq!(hasher.check("pass word", Some(&made)).await.unwrap(), Verdict::Right);
            assert_eq!(hasher.check("another", None).await.unwrap(), Verdict::Wrong);
        }
        // What takes more or less does not change it.
        for (memory, passes) in [(MEMORY_KIB * 2, 2), (64, 1)] {
            let other = PasswordHash::stored(argon2(Algorithm::Argon2id, Version::V0x13, memory, passes));
            assert_ne!(hasher.check("pass word", Some(&other)).await.unwrap(), Verdict::Wrong);
        }
        let idle = hasher.memories.idle.lock().unwrap();
        assert_eq!(idle.iter().map(Vec::len).collect::<Vec<_>>(), [MEMORY_KIB as usize]);
    }

    #[tokio::test]
    async fn long_passwords_count_to_their_last_byte() {
        let long = "x".repeat(1_000);
        let hash = Hasher::new().hash(&long).await.unwrap();
        assert_eq!(check(&long, hash.expose()).await, Verdict::Right);
        assert_eq!(check(&format!("{}y", "x".repeat(999)), hash.expose()).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn imported_bcrypt_hashes_are_right_but_old() {
        for (password, hash) in IMPORTED {
            assert_eq!(check(password, hash).await, Verdict::RightButOld, "{hash}");
            assert_eq!(check("another", hash).await, Verdict::Wrong, "{hash}");
        }
        let long = bcrypt::hash("x".repeat(80), 4).unwrap();
        assert_eq!(check(&"x".repeat(72), &long).await, Verdict::RightButOld);
    }

    #[tokio::test]
    async fn weaker_argon2_hashes_are_right_but_old() {
        for old in [
            argon2(Algorithm::Argon2id, Version::V0x13, MEMORY_KIB - 1, 2),
            argon2(Algorithm::Argon2id, Version::V0x13, MEMORY_KIB, 1),
            argon2(Algorithm::Argon2i, Version::V0x13, MEMORY_KIB, 2),
            argon2(Algorithm::Argon2id, Version::V0x10, MEMORY_KIB, 2),
        ] {
            assert_eq!(check("pass word", &old).await, Verdict::RightButOld, "{old}");
            assert_eq!(check("pass-word", &old).await, Verdict::Wrong, "{old}");
        }
        let strong = argon2(Algorithm::Argon2id, Version::V0x13, MEMORY_KIB + 1_000, 3);
        assert_eq!(check("pass word", &strong).await, Verdict::Right);
    }

    #[tokio::test]
    async fn what_is_no_hash_is_wrong() {
        let truncated = &IMPORTED[0].1[..50];
        let faulty = IMPORTED[0].1.replace("$2a$", "$2x$");
        for bad in ["", "U*U", "$2a$", "$2b$99$x", "$argon2id$", "$argon2id$v=19$m=1,t=0,p=0$x$y", "{SHA}x", "$2a$05$ü", truncated, &faulty]
        {
            assert_eq!(check("U*U", bad).await, Verdict::Wrong, "{bad}");
        }
    }

    #[tokio::test]
    async fn nobody_has_no_password_and_costs_as_much_as_anybody() {
        assert_eq!(Hasher::new().check("", None).await.unwrap(), Verdict::Wrong);
        let nobody = Phc::new(NOBODY).unwrap();
        assert!(!is_old(&nobody));
        let fresh = hash(b"x", &mut Memory::new()).unwrap();
        let fresh = Phc::new(fresh.expose()).unwrap();
        let cost = |hash: &Phc| Params::try_from(hash).map(|p| (p.m_cost(), p.t_cost(), p.p_cost())).unwrap();
        assert_eq!(cost(&nobody), cost(&fresh));
        let lengths = |hash: &Phc| (hash.salt.as_ref().map(|s| s.len()), hash.hash.as_ref().map(|h| h.len()));
        assert_eq!(lengths(&nobody), lengths(&fresh));
    }

    /// Whether the future still waits after it was asked once.
    async fn waits<F: Future>(future: &mut Pin<Box<F>>) -> bool {
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    /// Works that count how many of them run, and run until they are let go.
    #[derive(Default)]
    struct Gauge {
        running: AtomicUsize,
        most: AtomicUsize,
        open: Mutex<bool>,
        opened: Condvar,
    }

    impl Gauge {
        fn work(&self) {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            // In time even where an assertion fails, or the test would never end.
            drop(self.opened.wait_timeout_while(self.open.lock().unwrap(), Duration::from_secs(10), |open| !*open).unwrap());
            self.running.fetch_sub(1, Ordering::SeqCst);
        }

        fn open(&self) {
            *self.open.lock().unwrap() = true;
            self.opened.notify_all();
        }

        async fn reaches(&self, running: usize) {
            while self.running.load(Ordering::SeqCst) < running {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn few_run_at_once_few_wait_and_more_are_turned_away() {
        let (turns, gauge) = (Arc::new(Turns::new(2, 3)), Arc::new(Gauge::default()));
        let start = || {
            let (turns, gauge) = (Arc::clone(&turns), Arc::clone(&gauge));
            async move { turns.run(move || gauge.work()).await }
        };
        let mut present: Vec<_> = (0..5).map(|_| Box::pin(start())).collect();
        for one in &mut present {
            assert!(waits(one).await);
        }
        gauge.reaches(2).await;
        let is_turned_away = async || {
            let answer = tokio::time::timeout(Duration::from_secs(5), start()).await;
            matches!(answer, Ok(Err(Error::Unavailable(_))))
        };
        assert!(is_turned_away().await, "a sixth caller");
        // A caller who waits and goes away leaves its place; one whose work runs does not.
        drop(present.pop());
        drop(present.remove(0));
        let mut next = Box::pin(start());
        assert!(waits(&mut next).await);
        present.push(next);
        assert!(is_turned_away().await, "the work of who went away still runs");
        gauge.open();
        for one in present {
            assert!(one.await.is_ok());
        }
        assert_eq!(gauge.most.load(Ordering::SeqCst), 2);
        assert!(start().await.is_ok(), "all places are free again");
    }

    #[tokio::test]
    async fn a_work_that_panics_gives_its_turn_back() {
        let turns = Turns::new(1, 0);
        assert!(matches!(turns.run(|| panic!("planted")).await, Err::<(), _>(Error::Internal(_))));
        assert_eq!(turns.run(|| 7).await.unwrap(), 7);
    }
}
