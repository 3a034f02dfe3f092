//! The floor: one bare hyper connection per node, no deadline, no limit, no retry.

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{
    client::Beat,
    meter::Meter,
    question::{self, Answers, Question},
};

/// Starts one poller per node.
pub fn spawn(beat: &Beat, questions: &Rc<[Question]>, meter: &Rc<Meter>) {
    let body = Bytes::from(question::batch(questions));
    for index in 0..beat.nodes {
        let (beat, questions, meter, body) = (beat.clone(), Rc::clone(questions), Rc::clone(meter), body.clone());
        tokio::task::spawn_local(async move {
            if poll_forever(&beat, index, &questions, &meter, body).await.is_err() {
                meter.failed();
            }
        });
    }
}

async fn poll_forever(
    beat: &Beat,
    index: usize,
    questions: &[Question],
    meter: &Meter,
    body: Bytes,
) -> anyhow::Result<()> {
    let mut due = beat.interval(index);
    due.tick().await;
    let stream = TcpStream::connect(beat.server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    let target: http::Uri = format!("/n/{index}").parse()?;
    let host = http::HeaderValue::from_str(&beat.server.to_string())?;
    loop {
        let sent = Instant::now();
        let answers = exchange(&mut sender, &target, &host, body.clone(), questions).await?;
        if answers.is_some_and(|answers| answers.understood == questions.len()) {
            meter.good(sent.elapsed());
        } else {
            meter.failed();
        }
        due.tick().await;
    }
}

async fn exchange(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    target: &http::Uri,
    host: &http::HeaderValue,
    body: Bytes,
    questions: &[Question],
) -> anyhow::Result<Option<Answers>> {
    let request = http::Request::post(target.clone())
        .header(http::header::HOST, host.clone())
        .header(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))
        .body(Full::new(body))?;
    let reply = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(question::read_batch(questions, &reply))
}
