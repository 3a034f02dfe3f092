//! A node that does what a test tells it: good answers, bad answers, and every way of not answering.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the node does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Sends these bytes and keeps the connection open.
    Raw(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Last(Vec<u8>),
    /// Sends these bytes one at a time with this pause before each.
    Drip(Vec<u8>, Duration),
    /// Sends a chunked body without end.
    Flood,
    /// Closes the connection without a byte.
    Close,
    /// Says nothing for ever.
    Hang,
}

impl Reply {
    /// `200 OK` with a JSON body.
    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, "OK", "", body)
    }

    /// Any status; `headers` are whole lines, each with its end.
    pub fn status(code: u16, reason: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {code} {reason}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
        );
        Self::Raw([head.as_bytes(), body].concat())
    }
}

/// A request as the node received it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// A running node; it stops when dropped.
pub struct ScriptedNode {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    script: Mutex<Script>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
    open: Mutex<Vec<JoinHandle<()>>>,
}

impl ScriptedNode {
    /// Starts a node that answers every request by `script`.
    pub async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let accepting = tokio::task::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// Starts a node that always does the same.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the script from the next request on.
    pub fn rewrite(&self, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Closes every open connection, as a process that dies does; new ones are still accepted.
    pub fn drop_connections(&self) {
        self.shared.open.lock().unwrap().drain(..).for_each(|task| task.abort());
    }
}

impl Drop for ScriptedNode {
    fn drop(&mut self) {
        self.accepting.abort();
        self.drop_connections();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let task = tokio::task::spawn(serve(stream, Arc::clone(&shared)));
        shared.open.lock().unwrap().push(task);
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(asked) = read_request(&mut stream).await {
        let script = Arc::clone(&shared.script.lock().unwrap());
        let reply = script(&asked);
        shared.asked.lock().unwrap().push(asked);
        if act(&mut stream, reply).await.is_none() {
            return;
        }
    }
}

/// `None` ends the connection.
async fn act(stream: &mut TcpStream, reply: Reply) -> Option<()> {
    match reply {
        Reply::Raw(bytes) => stream.write_all(&bytes).await.ok(),
        Reply::Last(bytes) => stream.write_all(&bytes).await.ok().and(None),
        Reply::Close => None,
        Reply::Hang => std::future::pending().await,
        Reply::Drip(bytes, pause) => {
            for byte in bytes {
                tokio::time::sleep(pause).await;
                stream.write_all(&[byte]).await.ok()?;
            }
            Some(())
        }
        Reply::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
            let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await.ok()?;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = head + length.unwrap_or(0);
    while read.len() < end {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { head: text, body: read[head..end].to_vec() })
}

/// Answers JSON-RPC, single or in a batch: `answer` gives the members `result` or `error` for a method and its
/// parameters.
pub fn json_rpc(asked: &Asked, answer: impl Fn(&str, &Value) -> Value) -> Reply {
    let one = |call: &Value| {
        let mut item = answer(call["method"].as_str().unwrap_or_default(), &call["params"]);
        item["jsonrpc"] = json!("2.0");
        item["id"] = call["id"].clone();
        item
    };
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let answered = body.as_array().map_or_else(|| one(&body), |calls| calls.iter().map(one).collect());
    Reply::json(answered.to_string())
}

/// What a healthy execution client at `height` says to any of our calls.
pub fn evm_answer(height: u64, method: &str, params: &Value) -> Value {
    let block = |number: u64| {
        json!({"result": {
            "number": format!("{number:#x}"),
            "hash": format!("{:#066x}", number + 0x1000),
            "parentHash": format!("{:#066x}", number + 0xfff),
            "timestamp": format!("{:#x}", 1_700_000_000 + number),
            "transactions": ["0x1", "0x2"],
        }})
    };
    match (method, params[0].as_str().unwrap_or_default()) {
        ("eth_getBlockByNumber", "latest") => block(height),
        ("eth_getBlockByNumber", "safe") => block(height.saturating_sub(4)),
        ("eth_getBlockByNumber", "finalized") => block(height.saturating_sub(8)),
        ("eth_getBlockByNumber", "0x0") => block(0),
        ("eth_syncing", _) => json!({"result": false}),
        ("net_peerCount", _) => json!({"result": "0x19"}),
        ("txpool_status", _) => json!({"result": {"pending": "0x3c", "queued": "0x8"}}),
        ("eth_chainId", _) => json!({"result": "0x1"}),
        ("web3_clientVersion", _) => json!({"result": "Geth/v1.17.5"}),
        _ => {
            json!({"error": {"code": -32601, "message": format!("the method {method} does not exist/is not available")}})
        }
    }
}

/// A script of a healthy execution client at `height`.
pub fn healthy(height: u64) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked| json_rpc(asked, |method, params| evm_answer(height, method, params))
}
