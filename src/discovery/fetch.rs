//! Reads lists from a server, as Prometheus does with `http_sd`: the whole list each time, and only an answer with
//! status 200 and JSON counts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use tokio::sync::mpsc;

use super::{DEADLINE, Failure, Format, MAX_BODY, Reading, Report, Seen, interpret, send};
use crate::{
    model::Endpoint,
    supervisor::{PanicCounter, Shutdown},
    transport::{Client, Limits, Request, Response},
};

/// A server that failed is asked again after this, or after the refresh interval if that is shorter.
const RETRY: Duration = Duration::from_secs(10);

/// Tells the server how often it is asked.
const INTERVAL: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Asks `endpoint` every `refresh` until the shutdown.
pub(super) async fn run(
    source: u64,
    endpoint: Endpoint,
    refresh: Duration,
    reports: mpsc::Sender<Report>,
    panics: PanicCounter,
    mut shutdown: Shutdown,
) {
    let mut client = Client::new(asking_every(endpoint, refresh));
    loop {
        let reading = tokio::select! {
            reading = read(&mut client, &panics) => reading,
            () = shutdown.begun() => return,
        };
        let pause = if reading.is_ok() { refresh } else { refresh.min(RETRY) };
        if !send(&reports, Report { source, reading }, &mut shutdown).await {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.begun() => return,
        }
    }
}

fn asking_every(endpoint: Endpoint, refresh: Duration) -> Endpoint {
    let mut headers: HeaderMap = endpoint.headers().clone();
    headers.insert(INTERVAL, HeaderValue::from(refresh.as_secs().max(1)));
    endpoint.with_headers(headers)
}

async fn read(client: &mut Client, panics: &PanicCounter) -> Reading {
    let request = Request { method: Method::GET, path: String::new(), body: Bytes::new() };
    let response = client.exchange(request, Limits { deadline: DEADLINE, body: MAX_BODY }).await;
    let response = response.map_err(Failure::Exchange)?;
    let targets = targets(response, panics).await?;
    Ok(vec![Seen { place: Arc::from(""), outcome: Ok(targets) }])
}

async fn targets(response: Response, panics: &PanicCounter) -> Result<Arc<[super::Target]>, Failure> {
    if response.status != StatusCode::OK {
        return Err(Failure::Status(response.status.as_u16()));
    }
    let kind = response.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !is_json(kind) {
        return Err(Failure::ContentType);
    }
    // Megabytes take long enough to keep polls waiting that run on this thread.
    let body = response.body;
    let read = tokio::task::spawn_blocking(move || interpret(&body, Format::Json)).await;
    let panicked = |error| {
        panics.note("discovery", &error);
        Failure::Panicked
    };
    Ok(Arc::from(read.map_err(panicked)??))
}

/// `application/json`, with the one parameter that changes nothing.
fn is_json(kind: &str) -> bool {
    let (kind, parameter) = kind.split_once(';').unwrap_or((kind, ""));
    let parameter = parameter.trim().to_ascii_lowercase().replace('"', "");
    kind.trim().eq_ignore_ascii_case("application/json") && matches!(&*parameter, "" | "charset=utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_json() {
        for (kind, wanted) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(is_json(kind), wanted, "{kind}");
        }
    }

    #[test]
    fn the_server_is_told_how_often_it_is_asked() {
        let endpoint = Endpoint::parse("http://sd.example.org/nodes", "http").unwrap();
        assert_eq!(asking_every(endpoint, Duration::from_secs(60)).headers()[INTERVAL], "60");
    }
}
