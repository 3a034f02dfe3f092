//! A blocking HTTP/1.1 client of a hundred lines: one request, one connection. It is independent of the HTTP code under
//! test on purpose.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer encoding.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of the header `name`, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).context("the body is not UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {:?}", self.text()))
    }

    /// Fails unless the status is 200.
    pub fn ok(self) -> Result<Self> {
        ensure!(self.status == 200, "status {}: {:?}", self.status, self.text());
        Ok(self)
    }
}

/// GET `path` with extra `headers`.
pub fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    exchange(address, "GET", path, headers, b"")
}

/// POST `body` as JSON.
pub fn post(address: SocketAddr, path: &str, body: &Value) -> Result<Answer> {
    let headers = [("content-type", "application/json")];
    exchange(address, "POST", path, &headers, &serde_json::to_vec(body)?)
}

/// GET `path`, which must answer 200 with JSON.
pub fn get_json(address: SocketAddr, path: &str) -> Result<Value> {
    get(address, path, &[]).and_then(Answer::ok).with_context(|| format!("GET {path}"))?.json()
}

/// One JSON-RPC call; an error of the node is an error.
pub fn rpc(address: SocketAddr, method: &str, params: &Value) -> Result<Value> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut answer = post(address, "/", &call).and_then(Answer::ok).with_context(|| method.to_owned())?.json()?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        bail!("{method}: {error}");
    }
    Ok(answer["result"].take())
}

/// Sends one request and reads the answer to the end of the connection.
pub fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut lines =
        vec![format!("{method} {path} HTTP/1.1"), format!("host: {address}"), "connection: close".to_owned()];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("content-length: {}\r\n\r\n", body.len()));
    let request = lines.join("\r\n");
    stream.write_all(&[request.as_bytes(), body].concat())?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).with_context(|| format!("{method} {path} at {address}"))?;
    parse(&raw).with_context(|| format!("{method} {path} at {address}"))
}

fn parse(raw: &[u8]) -> Result<Answer> {
    let end = find(raw, b"\r\n\r\n").context("no complete answer")?;
    let head = std::str::from_utf8(&raw[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: raw[end + 4..].to_vec() };
    if answer.header("transfer-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked")) {
        answer.body = unchunk(&answer.body)?;
    }
    Ok(answer)
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n").context("a chunk without its size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line])?.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        let chunk = rest.get(line + 2..line + 2 + size).context("a chunk cut short")?;
        body.extend_from_slice(chunk);
        rest = rest.get(line + 4 + size..).context("a chunk cut short")?;
    }
}

/// Position of `needle` in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
