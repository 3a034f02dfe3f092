//! Which path is answered by whom.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::ORIGIN, request::Parts};
use hyper::body::Body;
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use super::{Shared, negotiate, probe, query::Query, reply::Reply, scrape::Scrapes, sd};
use crate::{
    engine::snapshot::Snapshot,
    output::{api, page, runbook},
};

/// Longest path and query in bytes.
const URL_BYTES: usize = 8 * 1024;

/// Pages and answers of the API that are written at a time: a storm of them must not take the processors from polls.
const WRITERS: usize = 2;

/// Time a reload may take.
const RELOAD: Duration = Duration::from_secs(60);

/// Where silences are listed and made, and what stands before the id of one.
pub const SILENCES: &str = "/api/v2/silences";
pub(super) const SILENCE: &str = "/api/v2/silence/";

macro_rules! handlers {
    ($($handler:ident = $word:literal, $path:literal;)*) => {
        /// Who answers; a closed set, for it is a label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Handler { $($handler,)* Unknown }

        impl Handler {
            fn of(path: &str) -> Self {
                match path {
                    $($path => Self::$handler,)*
                    _ if path.starts_with(runbook::PATH) => Self::Runbook,
                    _ if path.starts_with(SILENCE) => Self::Silence,
                    _ => Self::Unknown,
                }
            }

            fn as_str(self) -> &'static str {
                match self { $(Self::$handler => $word,)* Self::Unknown => "unknown" }
            }
        }
    };
}

handlers! {
    Metrics = "metrics", "/metrics";
    Healthy = "healthy", "/-/healthy";
    Ready = "ready", "/-/ready";
    Reload = "reload", "/-/reload";
    Probe = "probe", "/probe";
    Alerts = "alerts", "/api/v1/alerts";
    Rules = "rules", "/api/v1/rules";
    BuildInfo = "buildinfo", "/api/v1/status/buildinfo";
    Networks = "networks", "/api/v1/networks";
    Nodes = "nodes", "/api/v1/nodes";
    Explain = "explain", "/api/v1/explain";
    Sd = "sd", "/sd";
    SdProbe = "sd_probe", "/sd/probe";
    Silences = "silences", "/api/v2/silences";
    Silence = "silence", "/api/v2/silence";
    Page = "page", "/";
    Style = "style", "/style.css";
    Runbook = "runbook", "/runbooks";
}

impl Handler {
    /// The methods it answers, as the header `Allow` lists them.
    fn methods(self) -> &'static str {
        match self {
            Self::Reload => "POST, PUT",
            Self::Silences => "GET, HEAD, POST",
            Self::Silence => "GET, HEAD, DELETE",
            _ => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// Everything there is to see.
#[derive(Debug)]
pub struct Site {
    pub(super) shared: Shared,
    scrapes: Scrapes,
    writers: Semaphore,
    lifecycle: AtomicBool,
    pub(super) silences: AtomicBool,
}

impl Site {
    /// The site over what is in `shared`; `lifecycle` allows reloads.
    #[must_use]
    pub fn new(shared: Shared, lifecycle: bool) -> Self {
        Self {
            scrapes: Scrapes::new(shared.clone()),
            writers: Semaphore::new(WRITERS),
            shared,
            lifecycle: AtomicBool::new(lifecycle),
            silences: AtomicBool::new(false),
        }
    }

    /// Allows reloads, or no longer.
    pub fn allow_lifecycle(&self, allowed: bool) {
        self.lifecycle.store(allowed, Relaxed);
    }

    /// Allows silences over HTTP, or no longer.
    pub fn allow_silences(&self, allowed: bool) {
        self.silences.store(allowed, Relaxed);
    }

    /// Answers a request whose body nobody reads, and counts it.
    pub async fn answer<B: Body>(&self, request: Request<B>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        self.counted(&head, (!body.is_end_stream()).then_some(Bytes::new()), false).await
    }

    /// Answers a request whose body has come, and counts it.
    pub async fn answer_with_body(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        self.counted(&head, Some(body), true).await
    }

    async fn counted(&self, head: &Parts, body: Option<Bytes>, is_read: bool) -> Response<Bytes> {
        let handler = Handler::of(head.uri.path());
        let no_body = body.is_none() || (is_read && head.method == Method::POST);
        let reply = match refusal(handler, head, no_body) {
            Some(refusal) => refusal,
            None => self.handle(handler, head, &body.unwrap_or_default()).await,
        };
        self.shared.own.http_requests.with_label_values(&[handler.as_str(), reply.status().as_str()]).inc();
        reply.into_response()
    }

    async fn handle(&self, handler: Handler, head: &Parts, body: &[u8]) -> Reply {
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let runbooks = self.shared.runbooks.load_full();
        match handler {
            Handler::Metrics => self.metrics(head).await,
            Handler::Healthy => Reply::text(StatusCode::OK, "haltwatch is healthy."),
            Handler::Ready => self.ready(),
            Handler::Reload => self.reload(head).await,
            Handler::Probe => probe::answer(&self.shared.probe, &query, &head.headers).await,
            Handler::Alerts => self.api(move |snapshot| api::alerts(snapshot, &runbooks)).await,
            Handler::Rules => self.api(move |snapshot| api::rules(snapshot, &runbooks, &query)).await,
            Handler::BuildInfo => json(api::build_info()),
            Handler::Networks => self.api(api::networks).await,
            Handler::Nodes => self.api(move |snapshot| api::nodes(snapshot, &query)).await,
            Handler::Explain => self.api(move |snapshot| api::explain(snapshot, &runbooks, &query)).await,
            Handler::Silences if head.method == Method::POST => self.set_silence(head, body).await,
            Handler::Silences => self.list_silences(&query).await,
            Handler::Silence => self.silence(head).await,
            Handler::Sd => self.targets(sd::nodes).await,
            Handler::SdProbe => self.targets(sd::probes).await,
            Handler::Page => self.written(|snapshot| Reply::html(page::render(snapshot))).await,
            Handler::Style => Reply::new(StatusCode::OK, "text/css; charset=utf-8", page::STYLE),
            Handler::Runbook => runbook_page(head.uri.path()),
            Handler::Unknown if head.uri.path().starts_with("/api/") => {
                json(Err(api::Error::not_found("no such path")))
            }
            Handler::Unknown => Reply::text(StatusCode::NOT_FOUND, "not found"),
        }
    }

    pub(super) fn snapshot(&self) -> Arc<Option<Snapshot>> {
        self.shared.snapshot.load_full()
    }

    async fn metrics(&self, head: &Parts) -> Reply {
        let (format, gzip) = (negotiate::format(&head.headers), negotiate::gzip(&head.headers));
        match self.scrapes.body(format, gzip).await {
            Some(body) => Reply::new(StatusCode::OK, format.content_type(), body).negotiated(gzip),
            None => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "writing the metrics failed"),
        }
    }

    fn ready(&self) -> Reply {
        match *self.snapshot() {
            Some(_) => Reply::text(StatusCode::OK, "haltwatch is ready."),
            None => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "haltwatch has not judged anything yet."),
        }
    }

    async fn api(&self, answer: impl FnOnce(&Snapshot) -> Result<Vec<u8>, api::Error> + Send + 'static) -> Reply {
        self.written(|snapshot| json(snapshot.ok_or_else(api::Error::not_ready).and_then(answer))).await
    }

    /// A list of targets. Before the first step there is none to give, and whoever asked keeps the one it has.
    async fn targets(&self, list: fn(&Snapshot) -> Vec<u8>) -> Reply {
        self.written(move |snapshot| match snapshot {
            Some(snapshot) => Reply::json(StatusCode::OK, list(snapshot)),
            None => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "haltwatch has not judged anything yet."),
        })
        .await
    }

    /// What `write` makes of the latest snapshot. To write about many nodes takes long enough to keep polls waiting that
    /// run on this thread.
    async fn written(&self, write: impl FnOnce(Option<&Snapshot>) -> Reply + Send + 'static) -> Reply {
        // Held until the end of this function; the semaphore is never closed.
        let _turn = self.writers.acquire().await;
        let snapshot = self.snapshot();
        let written = tokio::task::spawn_blocking(move || write((*snapshot).as_ref())).await;
        written.unwrap_or_else(|_| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "writing the answer failed"))
    }

    async fn reload(&self, head: &Parts) -> Reply {
        if !self.lifecycle.load(Relaxed) {
            return Reply::text(StatusCode::FORBIDDEN, "reloading over HTTP is not enabled; send SIGHUP");
        }
        // A browser names the page that makes it ask; people and tools do not send this header.
        if head.headers.contains_key(ORIGIN) {
            return Reply::text(StatusCode::FORBIDDEN, "a web page may not ask for a reload");
        }
        match timeout(RELOAD, self.reloaded()).await {
            Ok(Ok(())) => Reply::text(StatusCode::OK, "reloaded"),
            Ok(Err(text)) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, &text),
            Err(_) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the reload did not end in time"),
        }
    }

    async fn reloaded(&self) -> Result<(), String> {
        let gone = || "haltwatch is stopping".to_owned();
        let (request, outcome) = oneshot::channel();
        self.shared.reload.send(request).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

fn runbook_page(path: &str) -> Reply {
    let Some(name) = path.strip_prefix(runbook::PATH) else {
        return Reply::beside(runbook::PATH.trim_start_matches('/'));
    };
    match runbook::text(name) {
        Some(text) => Reply::html(page::runbook::render(if name.is_empty() { "Runbooks" } else { name }, text)),
        None => Reply::text(StatusCode::NOT_FOUND, "no such runbook"),
    }
}

fn json(answer: Result<Vec<u8>, api::Error>) -> Reply {
    match answer {
        Ok(body) => Reply::json(StatusCode::OK, body),
        Err(error) => Reply::json(error.status, error.body()),
    }
}

/// Why a request is refused before anybody looks at it.
fn refusal(handler: Handler, head: &Parts, no_body: bool) -> Option<Reply> {
    let url = head.uri.path_and_query().map_or(0, |url| url.as_str().len());
    if URL_BYTES < url {
        return Some(Reply::text(StatusCode::URI_TOO_LONG, "the URL is too long").and_close());
    }
    if handler != Handler::Unknown && !handler.allows(&head.method) {
        return Some(Reply::wrong_method(handler.methods()));
    }
    (!no_body).then(|| Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "no request here has a body").and_close())
}
