//! What a request to a node or to Alertmanager can rely on.

mod trust;

use std::time::{Duration, Instant};

use bytes::Bytes;
use haltwatch::{
    model::Endpoint,
    observation::{ErrorKind, PollError},
    transport::{Client, Limits, Request, Response},
};
use http::{HeaderMap, HeaderValue, Method};
use tokio::net::TcpListener;

use crate::scripted_node::{Reply, ScriptedNode};

const LIMITS: Limits = Limits { deadline: Duration::from_millis(300), body: 64 * 1024 };

fn client(url: &str) -> Client {
    Client::new(Endpoint::parse(url, "http, https").unwrap())
}

fn post() -> Request {
    Request { method: Method::POST, path: String::new(), body: Bytes::from_static(b"[]") }
}

async fn ask(client: &mut Client) -> Result<Response, PollError> {
    client.exchange(post(), LIMITS).await
}

async fn kind(reply: Reply) -> ErrorKind {
    let node = ScriptedNode::always(reply).await;
    ask(&mut client(&node.url())).await.unwrap_err().kind
}

#[tokio::test]
async fn polls_reuse_one_connection() {
    let node = ScriptedNode::always(Reply::json("[1]")).await;
    let mut client = client(&node.url());
    for _ in 0..20 {
        assert_eq!(ask(&mut client).await.unwrap().body, "[1]");
    }
    assert_eq!((node.connections(), node.asked().len()), (1, 20));
}

#[tokio::test]
async fn a_kept_connection_that_has_died_is_replaced_without_a_failure() {
    let node = ScriptedNode::always(Reply::json("[]")).await;
    let mut client = client(&node.url());
    for round in 1..=3 {
        ask(&mut client).await.unwrap();
        assert_eq!(node.connections(), round);
        node.drop_connections();
    }
}

#[tokio::test]
async fn a_connection_that_dies_under_the_request_is_tried_once_more_and_not_for_ever() {
    let node = ScriptedNode::always(Reply::json("[]")).await;
    let mut client = client(&node.url());
    ask(&mut client).await.unwrap();
    node.rewrite(|_| Reply::Close);
    assert_eq!(ask(&mut client).await.unwrap_err().kind, ErrorKind::Reset);
    assert_eq!((node.connections(), node.asked().len()), (2, 3), "one retry on a new connection");
}

#[tokio::test]
async fn the_death_of_the_process_behind_an_idle_connection_is_noticed_at_once() {
    let node = ScriptedNode::always(Reply::json("[]")).await;
    let mut client = client(&node.url());
    ask(&mut client).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), client.closed()).await.is_err(), "still open");
    node.drop_connections();
    tokio::time::timeout(Duration::from_millis(250), client.closed()).await.unwrap();
    ask(&mut client).await.unwrap();
}

#[tokio::test]
async fn every_way_of_not_answering_is_cut_off_and_named() {
    let slow =
        Reply::Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789".to_vec(), Duration::from_millis(50));
    let half = Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[1,".to_vec());
    let started = Instant::now();
    assert_eq!(kind(Reply::Hang).await, ErrorKind::Timeout);
    assert_eq!(kind(slow).await, ErrorKind::Timeout);
    assert_eq!(kind(half).await, ErrorKind::Reset);
    assert_eq!(kind(Reply::Close).await, ErrorKind::Reset);
    assert_eq!(kind(Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await, ErrorKind::Malformed);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_body_is_never_read_beyond_its_limit() {
    assert_eq!(kind(Reply::Flood).await, ErrorKind::TooLarge);
    let announced = Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n".to_vec());
    assert_eq!(kind(announced).await, ErrorKind::TooLarge, "refused before a byte of it has come");
    let node = ScriptedNode::always(Reply::json(vec![b' '; LIMITS.body])).await;
    assert_eq!(ask(&mut client(&node.url())).await.unwrap().body.len(), LIMITS.body, "the limit itself is fine");
}

#[tokio::test]
async fn redirects_are_returned_and_not_followed() {
    let other = ScriptedNode::always(Reply::json("[]")).await;
    let location = format!("location: {}\r\n", other.url());
    let node = ScriptedNode::always(Reply::status(302, "Found", &location, "")).await;
    assert_eq!(ask(&mut client(&node.url())).await.unwrap().status, 302);
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_host_that_does_not_take_the_connection_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(ask(&mut client(&url)).await.unwrap_err().kind, ErrorKind::Refused);
    let nameless = ask(&mut client("http://does-not-exist.invalid")).await.unwrap_err().kind;
    assert!(matches!(nameless, ErrorKind::Dns | ErrorKind::Timeout), "{nameless:?}");
}

#[tokio::test]
async fn tls_against_something_else_is_a_failure_of_tls() {
    let node = ScriptedNode::always(Reply::json("[]")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plain = tokio::task::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    assert_eq!(ask(&mut client(&format!("https://{address}"))).await.unwrap_err().kind, ErrorKind::Tls);
    plain.abort();
    ask(&mut client(&node.url())).await.unwrap();
}

#[tokio::test]
async fn the_request_carries_the_endpoint_and_its_headers() {
    let node = ScriptedNode::always(Reply::json("[]")).await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer token"));
    let endpoint = Endpoint::parse(&format!("{}/base?key=1", node.url()), "http, https").unwrap().with_headers(headers);
    let request = Request { method: Method::GET, path: "/status".to_owned(), body: Bytes::new() };
    Client::new(endpoint).exchange(request, LIMITS).await.unwrap();
    let head = node.asked().remove(0).head.to_lowercase();
    assert!(head.starts_with("get /base/status?key=1 http/1.1\r\n"), "{head}");
    for line in [format!("host: {}", node.address()), "authorization: bearer token".to_owned()] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {head}");
    }
    assert!(!head.contains("accept-encoding") && !head.contains("content-type"), "{head}");
}

#[tokio::test]
async fn errors_never_quote_the_secret_parts_of_the_url() {
    let node = ScriptedNode::always(Reply::Close).await;
    for url in [format!("{}/SECRET?key=SECRET", node.url()), "http://127.0.0.1:1/SECRET".to_owned()] {
        let error = ask(&mut client(&url)).await.unwrap_err();
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_the_connection_is_a_good_answer() {
    let node = ScriptedNode::always(Reply::Last(b"HTTP/1.0 200 OK\r\n\r\n[7]".to_vec())).await;
    let mut client = client(&node.url());
    for round in 1..=2 {
        assert_eq!(ask(&mut client).await.unwrap().body, "[7]");
        assert_eq!(node.connections(), round);
    }
}
