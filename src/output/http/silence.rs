//! What is answered about silences: everybody may read them, and change them only where that is enabled.

use http::{Method, StatusCode, header::ORIGIN, request::Parts};
use std::sync::{Arc, atomic::Ordering::Relaxed};
use tokio::sync::oneshot;

use super::{
    query::Query,
    reply::Reply,
    route::{SILENCE, Site},
};
use crate::{
    engine::silence::Silence,
    model::UnixTime,
    output::api::silences::{self, Order, SilenceRefusal, SilenceRequest},
};

impl Site {
    /// The list: those of the configuration first.
    pub(super) async fn list_silences(&self, query: &Query) -> Reply {
        let answer = async {
            let (all, now) = self.all_silences().await?;
            silences::listed(all.iter(), now, query)
        };
        reply(answer.await)
    }

    /// One silence, or the end of one.
    pub(super) async fn silence(&self, head: &Parts) -> Reply {
        let id = head.uri.path().strip_prefix(SILENCE).unwrap_or_default();
        if head.method == Method::DELETE {
            if let Some(refusal) = self.forbidden(head) {
                return refusal;
            }
            return reply(self.end(id).await.map(|_| b"{}".to_vec()));
        }
        let answer = async {
            let (all, now) = self.all_silences().await?;
            let found = all.iter().find(|silence| *silence.id == *id).ok_or(SilenceRefusal::Unknown)?;
            Ok(silences::one(found, now))
        };
        reply(answer.await)
    }

    /// A new silence, or another one in the place of an old one.
    pub(super) async fn set_silence(&self, head: &Parts, body: &[u8]) -> Reply {
        if let Some(refusal) = self.forbidden(head) {
            return refusal;
        }
        let answer = async {
            let made = self.order(silences::posted(body)?).await?;
            made.first().map(silences::made).ok_or(SilenceRefusal::Unknown)
        };
        reply(answer.await)
    }

    async fn end(&self, id: &str) -> Result<Vec<Silence>, SilenceRefusal> {
        if self.configured().0.iter().any(|silence| *silence.id == *id) {
            return Err(SilenceRefusal::Wrong("this silence stands in the configuration, and ends there".to_owned()));
        }
        self.order(Order::Expire(id.to_owned())).await
    }

    fn forbidden(&self, head: &Parts) -> Option<Reply> {
        let why = if !self.silences.load(Relaxed) {
            "silences over HTTP are not enabled; set enable_silences in [web]"
        } else if head.headers.contains_key(ORIGIN) {
            // A browser names the page that makes it ask; people and tools do not send this header.
            "a web page may not ask for a silence"
        } else {
            return None;
        };
        Some(Reply::text(StatusCode::FORBIDDEN, why))
    }

    async fn all_silences(&self) -> Result<(Vec<Silence>, UnixTime), SilenceRefusal> {
        let people = self.order(Order::List).await?;
        let (mut all, now) = self.configured();
        all.extend(people);
        Ok((all, now))
    }

    /// The silences of the configuration, and the time of the latest picture.
    fn configured(&self) -> (Vec<Silence>, UnixTime) {
        let snapshot = self.snapshot();
        let of =
            |snapshot: &crate::engine::snapshot::Snapshot| (snapshot.settings.silences.clone(), snapshot.taken.wall);
        Arc::as_ref(&snapshot).as_ref().map(of).unwrap_or_default()
    }

    async fn order(&self, order: Order) -> Result<Vec<Silence>, SilenceRefusal> {
        let (answer, answered) = oneshot::channel();
        let request = SilenceRequest { order, answer };
        self.shared.silences.send(request).await.map_err(|_| SilenceRefusal::Stopping)?;
        answered.await.map_err(|_| SilenceRefusal::Stopping)?
    }
}

fn reply(answer: Result<Vec<u8>, SilenceRefusal>) -> Reply {
    match answer {
        Ok(body) => Reply::json(StatusCode::OK, body),
        Err(refusal) => Reply::json(refusal.status(), refusal.body()),
    }
}
