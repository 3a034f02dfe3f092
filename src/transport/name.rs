//! Resolves host names. The system's resolver blocks a thread for as long as it takes, half a minute if no server answers,
//! and cannot be interrupted. So every name is looked up once at a time, however many ask for it and however often they
//! lose patience: names that hang cannot take all threads away from those that do not.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, task::spawn_blocking};

use super::fault;
use crate::observation::{ErrorKind, PollError};

/// A name with more addresses than this is tried at the first ones only.
const MAX_ADDRESSES: usize = 8;

type Found = Result<Vec<IpAddr>, PollError>;

/// The names that are being looked up; `None` as long as the answer is not known.
static UNDER_WAY: Mutex<BTreeMap<String, watch::Receiver<Option<Found>>>> = Mutex::new(BTreeMap::new());

/// The addresses of `host`, at least one.
pub(super) async fn addresses(host: &str) -> Found {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let mut answer = under_way().entry(host.to_owned()).or_insert_with(|| look_up(host.to_owned())).clone();
    let found = answer.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    found.unwrap_or_else(|| {
        // The thread is gone without an answer: whoever asks next shall start another.
        under_way().remove(host);
        Err(PollError::new(ErrorKind::Local, "the lookup was broken off"))
    })
}

fn look_up(host: String) -> watch::Receiver<Option<Found>> {
    let (tell, answer) = watch::channel(None);
    spawn_blocking(move || {
        let found = resolve(&host);
        under_way().remove(&host);
        tell.send_replace(Some(found));
    });
    answer
}

fn resolve(host: &str) -> Found {
    let found = (host, 0).to_socket_addrs().map_err(|error| fault::lookup(&cause(error)))?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).take(MAX_ADDRESSES).collect();
    if addresses.is_empty() { Err(PollError::new(ErrorKind::Dns, "the name has no address")) } else { Ok(addresses) }
}

/// A resolver that cannot open a socket or a file says that the name is not known, for the time being or at all.
fn cause(error: io::Error) -> io::Error {
    match File::open("/dev/null") {
        Err(ours) if fault::is_local(&ours) => ours,
        _ => error,
    }
}

fn under_way() -> MutexGuard<'static, BTreeMap<String, watch::Receiver<Option<Found>>>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literals_are_not_looked_up_and_local_names_are() {
        assert_eq!(addresses("127.0.0.1").await, Ok(vec![IpAddr::from([127, 0, 0, 1])]));
        assert_eq!(addresses("::1").await, Ok(vec!["::1".parse().unwrap()]));
        let found = addresses("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert!(!under_way().contains_key("localhost"), "what is found is asked anew the next time");
    }

    #[tokio::test]
    async fn those_who_ask_for_a_name_that_is_being_looked_up_share_the_answer() {
        let (tell, answer) = watch::channel(None);
        under_way().insert("shared.invalid".to_owned(), answer);
        let asking = (0..50).map(|_| addresses("shared.invalid")).collect::<tokio::task::JoinSet<_>>();
        tokio::task::yield_now().await;
        tell.send_replace(Some(Ok(vec![IpAddr::from([127, 0, 0, 7])])));
        let told = asking.join_all().await;
        assert!(told.len() == 50 && told.iter().all(|found| *found == Ok(vec![IpAddr::from([127, 0, 0, 7])])));
        under_way().remove("shared.invalid");
    }

    #[tokio::test]
    async fn a_lookup_that_was_broken_off_is_made_anew() {
        let (tell, answer) = watch::channel(None);
        under_way().insert("broken.invalid".to_owned(), answer);
        drop(tell);
        assert_eq!(addresses("broken.invalid").await.unwrap_err().kind, ErrorKind::Local);
        assert!(!under_way().contains_key("broken.invalid"));
    }
}
