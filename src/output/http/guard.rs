//! What happens to a request before and after the site answers it: rate limit, users, paths, the number of requests at
//! a time, small bodies that nobody reads, and the operator's own headers.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Settings,
    door::Door,
    paths::{Paths, Place},
    reply::Reply,
    route::{SILENCES, Site},
    seat::{ASKING, Served},
    web_config::{Outcome, WebConfig},
};
use crate::output::own::OwnMetrics;

/// The label of the requests that are refused here.
const HANDLER: &str = "guard";

/// A body up to this size is taken, and thrown away, where somebody may well send one: tools do with every POST.
const BODY_BYTES: usize = 1024;

/// A silence is no larger than this.
const SILENCE_BYTES: usize = 64 * 1024;

/// The path that is asked by POST.
const RELOAD: &str = "/-/reload";

/// Answered however many requests are being served: they tell whether the process lives.
const ALWAYS: [&str; 2] = ["/-/healthy", "/-/ready"];

/// What stands between the connections and the site.
#[derive(Debug)]
pub struct Guard {
    /// Who is let in.
    pub door: Arc<Door>,
    paths: Paths,
    /// One permit for each request that may be served at a time; `None` = no limit.
    places: Option<Arc<Semaphore>>,
}

impl Guard {
    /// A guard as `settings` want it.
    #[must_use]
    pub fn new(settings: &Settings, door: Arc<Door>) -> Self {
        let places = settings.max_requests.min(Semaphore::MAX_PERMITS);
        Self { door, paths: Paths::of(settings), places: (0 < places).then(|| Arc::new(Semaphore::new(places))) }
    }

    /// Has the site answer, if nothing speaks against it.
    pub async fn answer<B>(
        &self,
        site: &Site,
        own: &OwnMetrics,
        request: Request<B>,
        served: &mut Served,
    ) -> Response<Bytes>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let web = self.door.config();
        let mut response = match self.admit(web.as_deref(), request, served).await {
            Ok(request) => forward(site, request).await,
            Err(refusal) => {
                own.http_requests.with_label_values(&[HANDLER, refusal.status().as_str()]).inc();
                refusal.into_response()
            }
        };
        for (name, value) in web.iter().flat_map(|web| &web.headers) {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    /// The request as the site sees it, or why it does not get there.
    async fn admit<B>(
        &self,
        web: Option<&WebConfig>,
        mut request: Request<B>,
        served: &mut Served,
    ) -> Result<Request<B>, Reply> {
        if web.is_some_and(|web| !web.has_room()) {
            return Err(Reply::text(StatusCode::TOO_MANY_REQUESTS, "too many requests"));
        }
        if let Some(users) = web.and_then(|web| web.users.as_ref()) {
            match users.admit(request.headers()).await {
                Outcome::Admitted => {}
                Outcome::Refused => return Err(Reply::unauthorized()),
                Outcome::Busy => return Err(busy("too many passwords are being compared")),
            }
        }
        match self.paths.place(request.uri()) {
            Place::Site(uri) => *request.uri_mut() = uri,
            Place::Beside(path) => return Err(Reply::beside(&path)),
            Place::Nowhere => return Err(Reply::text(StatusCode::NOT_FOUND, "not found")),
        }
        if let Some(places) = self.places.as_ref().filter(|_| !ALWAYS.contains(&request.uri().path())) {
            let place = Arc::clone(places).try_acquire_owned();
            served.hold(place.map_err(|_| busy("too many requests are being served"))?);
        }
        Ok(request)
    }
}

fn busy(why: &str) -> Reply {
    Reply::text(StatusCode::SERVICE_UNAVAILABLE, why)
}

async fn forward<B>(site: &Site, request: Request<B>) -> Response<Bytes>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.uri().path() == SILENCES && !request.body().is_end_stream() {
        return forward_body(site, request).await;
    }
    let announced = request.body().size_hint().upper().unwrap_or(0);
    let is_small = announced <= BODY_BYTES as u64 && !request.body().is_end_stream();
    if !is_small || request.uri().path() != RELOAD {
        return site.answer(request).await;
    }
    let (head, body) = request.into_parts();
    match timeout(ASKING, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(_)) => site.answer(Request::from_parts(head, Empty::<Bytes>::new())).await,
        Ok(Err(_)) => too_large(),
        Err(_) => too_late(),
    }
}

/// Has the site answer a request whose body is read.
async fn forward_body<B>(site: &Site, request: Request<B>) -> Response<Bytes>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    match timeout(ASKING, Limited::new(body, SILENCE_BYTES).collect()).await {
        Ok(Ok(body)) => site.answer_with_body(Request::from_parts(head, body.to_bytes())).await,
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_large(),
        Ok(Err(_)) | Err(_) => too_late(),
    }
}

fn too_large() -> Response<Bytes> {
    Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").and_close().into_response()
}

fn too_late() -> Response<Bytes> {
    Reply::text(StatusCode::REQUEST_TIMEOUT, "the body did not come").and_close().into_response()
}
