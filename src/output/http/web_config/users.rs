//! Who may ask: names with hashes of their passwords.
//!
//! A comparison is made slow on purpose, so it runs on a thread of its own, one at a time, and its outcome is kept: under
//! a keyed hash of what was compared, never the password. Somebody unknown costs the same comparison as somebody known.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use ring::{hmac, rand::SystemRandom};
use tokio::sync::Semaphore;

/// Wrong passwords that are remembered.
const REMEMBERED: usize = 128;

/// Comparisons that may wait. Who comes later is turned away: the answer would take too long to be of use.
const WAITING: usize = 32;

/// Salt and digest of a hash that no known password has; its cost is that of the users' hashes.
const NOBODY: &str = "aaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The answer to a request's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Known, with the right password.
    Admitted,
    /// Unknown, or the wrong password, or none.
    Refused,
    /// Too many passwords are being compared.
    Busy,
}

/// Users and what has been found out about passwords. `Debug` shows neither.
pub struct Users {
    hashes: HashMap<String, Arc<str>>,
    nobody: Arc<str>,
    key: hmac::Key,
    known: Arc<Mutex<Known>>,
    desk: Arc<Semaphore>,
    queue: Semaphore,
}

type Tag = [u8; 32];

#[derive(Default)]
struct Known {
    right: HashSet<Tag>,
    /// The oldest first.
    wrong: VecDeque<Tag>,
}

impl Users {
    /// Users with well-formed hashes; `None` if there are none.
    pub(super) fn new(users: Vec<(String, String)>) -> Option<Self> {
        let cost = |hash: &str| hash.parse::<bcrypt::HashParts>().map_or(10, |parts| parts.get_cost());
        let highest = users.iter().map(|(_, hash)| cost(hash)).max()?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Some(Self {
            hashes: users.into_iter().map(|(name, hash)| (name, Arc::from(hash))).collect(),
            nobody: Arc::from(format!("$2b${highest:02}${NOBODY}")),
            key: key.expect("the kernel gives random numbers"),
            known: Arc::default(),
            desk: Arc::new(Semaphore::new(1)),
            queue: Semaphore::new(WAITING),
        })
    }

    /// Whether the credentials among `headers` are those of a user.
    pub async fn admit(&self, headers: &HeaderMap) -> Outcome {
        let Some((name, password)) = credentials(headers) else { return Outcome::Refused };
        let (hash, is_user) = match self.hashes.get(&name) {
            Some(hash) => (hash, true),
            None => (&self.nobody, false),
        };
        let tag = self.tag(&name, hash, &password);
        if let Some(outcome) = self.remembered(&tag) {
            return outcome;
        }
        let Ok(_place) = self.queue.try_acquire() else { return Outcome::Busy };
        let Ok(turn) = Arc::clone(&self.desk).acquire_owned().await else { return Outcome::Busy };
        // Somebody else may have asked the same in the meantime.
        if let Some(outcome) = self.remembered(&tag) {
            return outcome;
        }
        let (hash, known, users) = (Arc::clone(hash), Arc::clone(&self.known), self.hashes.len());
        let compared = tokio::task::spawn_blocking(move || {
            let right = bcrypt::verify(&password, &hash).unwrap_or(false) && is_user;
            // Remembered although the client may have gone: a scraper in a hurry would else never be admitted.
            known.lock().unwrap_or_else(PoisonError::into_inner).remember(tag, right, users);
            // Held until here for the same reason: there is one comparison at a time.
            drop(turn);
            right
        });
        if compared.await.unwrap_or(false) { Outcome::Admitted } else { Outcome::Refused }
    }

    /// Lengths keep apart what would read the same when written in a row.
    fn tag(&self, name: &str, hash: &str, password: &[u8]) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [name.as_bytes(), hash.as_bytes(), password] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut tag = Tag::default();
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    fn remembered(&self, tag: &Tag) -> Option<Outcome> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.right.contains(tag) {
            return Some(Outcome::Admitted);
        }
        known.wrong.contains(tag).then_some(Outcome::Refused)
    }
}

impl Known {
    /// There are as many right passwords as users; of the wrong ones only the last are kept.
    fn remember(&mut self, tag: Tag, right: bool, users: usize) {
        if right {
            // What differs only beyond the part that bcrypt looks at is right, too: that is bounded here.
            if users.saturating_mul(4) <= self.right.len() {
                self.right.clear();
            }
            self.right.insert(tag);
            return;
        }
        if REMEMBERED <= self.wrong.len() {
            self.wrong.pop_front();
        }
        self.wrong.push_back(tag);
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.hashes.len())
    }
}

/// Name and password of a header `Authorization: Basic …`.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(value.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        let hash = bcrypt::hash("right", 4).unwrap();
        Users::new(vec![("alice".to_owned(), hash)]).unwrap()
    }

    fn headers(credentials: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_user_is_admitted() {
        let users = users();
        for round in 0..2 {
            for (given, wanted) in [
                ("alice:right", Outcome::Admitted),
                ("alice:wrong", Outcome::Refused),
                ("alice:", Outcome::Refused),
                ("alice", Outcome::Refused),
                ("bob:right", Outcome::Refused),
                (":right", Outcome::Refused),
                ("alice:right:", Outcome::Refused),
            ] {
                assert_eq!(users.admit(&headers(given)).await, wanted, "{given}, round {round}");
            }
        }
        assert_eq!(users.admit(&HeaderMap::new()).await, Outcome::Refused);
        let bearer = HeaderMap::from_iter([(AUTHORIZATION, "Bearer alice:right".parse().unwrap())]);
        assert_eq!(users.admit(&bearer).await, Outcome::Refused);
    }

    #[tokio::test]
    async fn a_right_password_stays_known_whatever_else_is_tried() {
        let users = users();
        assert_eq!(users.admit(&headers("alice:right")).await, Outcome::Admitted);
        for wrong in 0..REMEMBERED + 8 {
            users.admit(&headers(&format!("alice:{wrong}"))).await;
        }
        let known = users.known.lock().unwrap();
        assert_eq!((known.right.len(), known.wrong.len()), (1, REMEMBERED));
    }

    #[tokio::test]
    async fn what_was_compared_is_remembered_although_the_client_has_gone() {
        let users = users();
        let asked = headers("alice:right");
        // Polled once, which begins the comparison, and then given up.
        tokio::select! { biased; _ = users.admit(&asked) => {}, () = std::future::ready(()) => {} }
        let _turn = users.desk.acquire().await.unwrap();
        assert_eq!(users.known.lock().unwrap().right.len(), 1);
    }

    #[test]
    fn the_hash_of_nobody_is_a_hash() {
        let users = users();
        assert_eq!(users.nobody.parse::<bcrypt::HashParts>().unwrap().get_cost(), 4);
        assert!(!bcrypt::verify("right", &users.nobody).unwrap());
    }

    #[tokio::test]
    async fn who_comes_while_too_many_wait_is_turned_away() {
        let users = users();
        let _all = users.queue.acquire_many(u32::try_from(WAITING).unwrap()).await.unwrap();
        assert_eq!(users.admit(&headers("alice:right")).await, Outcome::Busy);
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", users()), "1 users");
    }
}
