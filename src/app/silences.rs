//! Keeps the silences that people ask for over HTTP: gives them ids, writes them down before they count, and tells the
//! decision loop. Those of the configuration are the engine's own.

mod file;

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use self::file::SilenceFile;
use crate::{
    clock::Clock,
    engine::silence::{Silence, Span},
    model::{Now, UnixTime},
    output::api::silences::{Draft, Order, SilenceRefusal, SilenceRequest},
    supervisor::{PanicCounter, Shutdown, Supervisor},
};

/// Orders waiting for the keeper; each takes as long as writing a small file.
const SILENCE_QUEUE: usize = 64;

/// Silences of people, those that are over included.
const MAX_SILENCES: usize = 1000;

/// So long a silence is shown that is over.
const REMEMBERED: Duration = Duration::from_secs(5 * 24 * 3600);

/// The silences of people.
pub(super) type Silences = Arc<[Silence]>;

/// Starts the keeper of what `storage` holds: where orders go, and how the decision loop hears of silences.
pub(super) fn spawn(
    supervisor: &mut Supervisor,
    storage: Option<&Path>,
    clock: Clock,
    panics: &PanicCounter,
) -> (mpsc::Sender<SilenceRequest>, watch::Receiver<Silences>) {
    let (orders, ordered) = mpsc::channel(SILENCE_QUEUE);
    let (keeper, published) = SilenceKeeper::new(storage, clock);
    supervisor.spawn_essential("silences", panics.clone(), keeper.run(ordered, supervisor.shutdown()));
    (orders, published)
}

/// Keeps them.
#[derive(Debug)]
struct SilenceKeeper {
    list: Vec<Silence>,
    file: Option<SilenceFile>,
    clock: Clock,
    publish: watch::Sender<Silences>,
}

impl SilenceKeeper {
    /// A keeper of what `storage` holds, and how the decision loop hears of it.
    fn new(storage: Option<&Path>, clock: Clock) -> (Self, watch::Receiver<Silences>) {
        let file = storage.map(SilenceFile::inside);
        let list = file.as_ref().map(SilenceFile::read).unwrap_or_default();
        let (publish, published) = watch::channel(Arc::from(list.as_slice()));
        (Self { list, file, clock, publish }, published)
    }

    /// Runs until the shutdown begins.
    async fn run(mut self, mut requests: mpsc::Receiver<SilenceRequest>, mut shutdown: Shutdown) {
        loop {
            let request = tokio::select! {
                biased;
                () = shutdown.begun() => return,
                request = requests.recv() => request,
            };
            let Some(SilenceRequest { order, answer }) = request else { return };
            // Whoever no longer waits for the answer finds the outcome in the list.
            let _ = answer.send(self.carry_out(order).await);
        }
    }

    async fn carry_out(&mut self, order: Order) -> Result<Vec<Silence>, SilenceRefusal> {
        let now = self.clock.now();
        let (list, concerned) = match order {
            Order::List => return Ok(self.list.clone()),
            Order::Set(id, draft) => set(&self.list, id.as_deref(), draft, now.wall, new_id)?,
            Order::Expire(id) => expired(&self.list, &id, now.wall)?,
        };
        self.store(&list, now).await?;
        log(&concerned, now.wall);
        self.publish.send_replace(Arc::from(list.as_slice()));
        self.list = list;
        Ok(vec![concerned])
    }

    async fn store(&self, list: &[Silence], now: Now) -> Result<(), SilenceRefusal> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let list = list.to_vec();
        let stored = tokio::task::spawn_blocking(move || file.write(&list, now)).await;
        let stored = stored.map_err(|_| SilenceRefusal::Stopping)?;
        stored.map_err(|error| SilenceRefusal::NotStored(error.to_string()))
    }
}

/// Tells what is silenced, by whom and why: whoever wonders later why nobody was called finds it here.
fn log(silence: &Silence, now: UnixTime) {
    let Silence { id, matchers, span, created_by, comment, .. } = silence;
    let matchers = matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let until = span.until.unwrap_or_default();
    let what = if span.is_over(now) { "is ended" } else { "is set" };
    tracing::info!(
        silence = &**id,
        %matchers,
        by = &**created_by,
        comment = &**comment,
        from = %span.from.unwrap_or_default(),
        %until,
        "silence {id} {what}: {matchers} until {until}"
    );
}

/// The list with the silence that is wanted, and that silence.
fn set(
    list: &[Silence],
    id: Option<&str>,
    draft: Draft,
    now: UnixTime,
    new_id: impl Fn() -> Arc<str>,
) -> Result<(Vec<Silence>, Silence), SilenceRefusal> {
    if draft.until <= now {
        return Err(SilenceRefusal::Wrong("endsAt is in the past".to_owned()));
    }
    let place = match id {
        Some(id) => Some(list.iter().position(|silence| *silence.id == *id).ok_or(SilenceRefusal::Unknown)?),
        None => None,
    };
    // What is over stays as it was: who wants it again gets another one.
    let place = place.filter(|place| !list[*place].span.is_over(now));
    let before = place.and_then(|place| list[place].span.from);
    let from = before.filter(|from| *from <= now && draft.from <= now).unwrap_or(draft.from.max(now));
    let silence = Silence {
        id: place.map_or_else(new_id, |place| Arc::clone(&list[place].id)),
        matchers: draft.matchers,
        span: Span { from: Some(from), until: Some(draft.until), times: None },
        created_by: draft.created_by,
        comment: draft.comment,
        updated_at: Some(now),
    };
    let mut list = list.to_vec();
    if let Some(place) = place {
        list[place] = silence.clone();
        return Ok((list, silence));
    }
    prune(&mut list, now);
    if MAX_SILENCES <= list.len() {
        return Err(SilenceRefusal::TooMany);
    }
    list.push(silence.clone());
    Ok((list, silence))
}

/// Forgets what has been over for long, and more of it where there is no room.
fn prune(list: &mut Vec<Silence>, now: UnixTime) {
    list.retain(|silence| !silence.span.is_over(now.before(REMEMBERED)));
    while MAX_SILENCES <= list.len() {
        let over = list.iter().enumerate().filter(|(_, silence)| silence.span.is_over(now));
        let Some((oldest, _)) = over.min_by_key(|(_, silence)| silence.span.until) else { return };
        list.remove(oldest);
    }
}

/// The list in which that silence ends now, and that silence.
fn expired(list: &[Silence], id: &str, now: UnixTime) -> Result<(Vec<Silence>, Silence), SilenceRefusal> {
    let mut list = list.to_vec();
    let silence = list.iter_mut().find(|silence| *silence.id == *id).ok_or(SilenceRefusal::Unknown)?;
    if !silence.span.is_over(now) {
        silence.span.from = silence.span.from.map(|from| from.min(now));
        silence.span.until = Some(now);
        silence.updated_at = Some(now);
    }
    let silence = silence.clone();
    Ok((list, silence))
}

/// A random UUID: what Alertmanager's tools expect an id to be.
fn new_id() -> Arc<str> {
    let bits = fastrand::u128(..) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    Arc::from(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::silence::Matcher;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_millis(seconds * 1000)
    }

    fn draft(from: i64, until: i64) -> Draft {
        let matchers = vec![Matcher::parse("network=main").unwrap()];
        Draft { matchers, from: at(from), until: at(until), created_by: "ann".into(), comment: "work".into() }
    }

    fn made(
        list: &[Silence],
        id: Option<&str>,
        draft: Draft,
        now: i64,
    ) -> Result<(Vec<Silence>, Silence), SilenceRefusal> {
        set(list, id, draft, at(now), || Arc::from(format!("id-{}", list.len())))
    }

    #[test]
    fn a_silence_begins_now_at_the_earliest_and_keeps_its_id_while_it_lives() {
        let (list, first) = made(&[], None, draft(5, 100), 10).unwrap();
        assert_eq!((&*first.id, first.span.from, first.span.until), ("id-0", Some(at(10)), Some(at(100))));
        let (list, longer) = made(&list, Some("id-0"), draft(10, 200), 50).unwrap();
        assert_eq!((&*longer.id, longer.span.from, longer.span.until), ("id-0", Some(at(10)), Some(at(200))));
        let (list, over) = expired(&list, "id-0", at(60)).unwrap();
        assert!(over.span.is_over(at(60)) && list.len() == 1);
        let (list, again) = made(&list, Some("id-0"), draft(60, 70), 61).unwrap();
        assert_eq!((&*again.id, list.len()), ("id-1", 2));
        assert_eq!(made(&list, Some("nobody"), draft(60, 70), 61), Err(SilenceRefusal::Unknown));
        assert!(matches!(made(&list, None, draft(60, 61), 61), Err(SilenceRefusal::Wrong(_))));
    }

    #[test]
    fn what_is_over_makes_room_and_what_is_not_stays() {
        let mut list = Vec::new();
        for _ in 0..MAX_SILENCES {
            list = made(&list, None, draft(10, 100), 10).unwrap().0;
        }
        assert_eq!(made(&list, None, draft(10, 100), 20), Err(SilenceRefusal::TooMany));
        let (list, _) = expired(&list, "id-7", at(30)).unwrap();
        let (list, _) = made(&list, None, draft(10, 100), 40).unwrap();
        assert!(list.len() == MAX_SILENCES && !list.iter().any(|silence| &*silence.id == "id-7"));
    }

    #[test]
    fn ids_look_like_those_of_alertmanager() {
        let id = new_id();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
}
