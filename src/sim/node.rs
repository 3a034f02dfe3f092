//! The socket of one simulated node. A stopped node's socket is really closed, so that connections are refused, and
//! bound again on the same port when it starts; a frozen one accepts and lets everybody wait, as a process under
//! SIGSTOP does.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    block::Block,
    chain::Process,
    cometbft,
    devnet::Ground,
    fault::Manner,
    heads,
    rpc::Desk,
    tongue::{Asked, Tongue},
    websocket,
};
use crate::{clock::Clock, supervisor::Shutdown};

/// Connections the kernel holds for a node that is slow to accept.
const BACKLOG: u32 = 256;

/// Largest request a node reads, as geth's limit.
const MAX_REQUEST_BYTES: usize = 5 * 1024 * 1024;

/// New heads told at once to a subscriber who has missed some.
const MAX_HEADS_AT_ONCE: u64 = 16;

/// How long a node waits before it tries again to get its port back.
const REBIND_PAUSE: Duration = Duration::from_millis(50);

/// The socket of a node and what stands behind it.
#[derive(Debug)]
pub(super) struct Door {
    ground: Arc<Ground>,
    network: usize,
    node: usize,
    address: SocketAddr,
    process: watch::Receiver<Process>,
    /// The socket opened at the start, until the task takes it over.
    first: Mutex<Option<TcpListener>>,
}

impl Door {
    /// Binds a free port of the loopback.
    pub(super) fn open(
        ground: Arc<Ground>,
        network: usize,
        node: usize,
        process: watch::Receiver<Process>,
    ) -> io::Result<Self> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        Ok(Self { ground, network, node, address, process, first: Mutex::new(Some(listener)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn take_first(&self) -> Option<TcpListener> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn listener(&self) -> TcpListener {
        if let Some(listener) = self.take_first() {
            return listener;
        }
        loop {
            match listen(self.address) {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(REBIND_PAUSE).await,
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Keeps the door for as long as the devnet runs: open while the process runs or is frozen, closed while it is stopped.
pub(super) async fn keep(door: Arc<Door>, mut shutdown: Shutdown) {
    let mut process = door.process.clone();
    let open_and_close = async {
        loop {
            if *process.borrow() == Process::Stopped {
                // A node stopped before it ever served refuses too.
                drop(door.take_first());
            }
            if process.wait_for(|process| *process != Process::Stopped).await.is_err() {
                return;
            }
            let listener = door.listener().await;
            tokio::select! {
                () = serve(&door, listener) => {}
                stopped = process.wait_for(|process| *process == Process::Stopped) => if stopped.is_err() { return },
            }
        }
    };
    tokio::select! {
        () = open_and_close => {}
        () = shutdown.begun() => {}
    }
}

/// Serves connections until it is dropped, which ends them all.
async fn serve(door: &Arc<Door>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(converse(Arc::clone(door), stream)); }
                Err(_) => tokio::time::sleep(REBIND_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(door: Arc<Door>, stream: TcpStream) {
    // A connection that cannot be tuned still works.
    let _ = stream.set_nodelay(true);
    let (upgrade, upgraded) = mpsc::channel(1);
    let host = Arc::clone(&door);
    let service = service_fn(move |request| {
        let (door, upgrade) = (Arc::clone(&host), upgrade.clone());
        async move { Ok::<_, Infallible>(door.welcome(request, &upgrade).await) }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    // How a conversation ends is the caller's business.
    if served.is_ok() {
        let _ = go_on(&door, upgraded).await;
    }
}

/// Holds the WebSocket conversation that an HTTP conversation has turned into, if it has.
async fn go_on(door: &Door, mut upgraded: mpsc::Receiver<OnUpgrade>) -> Option<()> {
    let upgraded = upgraded.recv().await?.await.ok()?;
    heads::tell(door, upgraded).await.ok()
}

impl Door {
    async fn welcome(
        &self,
        mut request: Request<Incoming>,
        upgrade: &mpsc::Sender<OnUpgrade>,
    ) -> Response<Full<Bytes>> {
        let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() else {
            return self.respond(request).await;
        };
        self.thawed().await;
        if let Some(refusal) = refusal(self.manner()) {
            return refusal;
        }
        if upgrade.try_send(hyper::upgrade::on(&mut request)).is_err() {
            return plain(StatusCode::BAD_REQUEST, "already upgraded");
        }
        let mut response = plain(StatusCode::SWITCHING_PROTOCOLS, "");
        let accepted = HeaderValue::try_from(websocket::accept(key.as_bytes())).expect("base64 is visible ASCII");
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response
    }

    /// Answers a request that came over a WebSocket, and tells whether it subscribed to new heads.
    pub(super) fn converse(&self, body: &[u8]) -> (Option<String>, bool) {
        let answer = |mut desk: Desk<'_>| {
            desk.streams = true;
            match desk.chain.plan().tongue {
                Tongue::CometBft => cometbft::converse(&desk, body),
                _ => (desk.answer(body), desk.is_subscription(body)),
            }
        };
        self.ground.ask(self.network, self.node, answer).unwrap_or_default()
    }

    /// The newest block the node is willing to tell of; a hanging node is silent.
    pub(super) fn head(&self) -> Option<Block> {
        let head = |desk: Desk<'_>| desk.chain.view(self.node).map(|view| *view.head);
        self.ground.ask(self.network, self.node, head).flatten().filter(|_| self.manner() != Manner::Hanging)
    }

    fn manner(&self) -> Manner {
        self.ground.ask(self.network, self.node, |desk| desk.chain.manner(self.node)).unwrap_or_default()
    }

    /// The announcements of the blocks that came after `last`; after a reorganisation only of the newest.
    pub(super) fn heads_after(&self, last: Block) -> Vec<String> {
        let announce = |desk: Desk<'_>| {
            let head = desk.chain.view(self.node)?.head.number;
            let numbers = (last.number + 1).clamp(head.saturating_sub(MAX_HEADS_AT_ONCE), head)..=head;
            let announce = |block: &Block| match desk.chain.plan().tongue {
                Tongue::CometBft => cometbft::announce(&desk, block),
                _ => desk.announce(block),
            };
            Some(numbers.filter_map(|n| desk.chain.block(self.node, n)).map(announce).collect())
        };
        self.ground.ask(self.network, self.node, announce).flatten().unwrap_or_default()
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, MAX_REQUEST_BYTES).collect().await;
        self.thawed().await;
        let (manner, skew) = (self.manner(), |desk: Desk<'_>| desk.chain.clock_skew_ms(self.node));
        let skew_ms = self.ground.ask(self.network, self.node, skew).unwrap_or_default();
        let mut response = match (refusal(manner), body) {
            (Some(refusal), _) => refusal,
            (None, Err(_)) => plain(StatusCode::PAYLOAD_TOO_LARGE, "request body too large"),
            (None, Ok(body)) => self.answer(manner, &parts, &body.to_bytes()).await,
        };
        if skew_ms != 0 {
            response.headers_mut().insert(header::DATE, skewed_date(skew_ms));
        }
        response
    }

    /// Waits until the process is not frozen.
    pub(super) async fn thawed(&self) {
        let mut process = self.process.clone();
        if process.wait_for(|process| *process != Process::Frozen).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn answer(&self, manner: Manner, parts: &http::request::Parts, body: &[u8]) -> Response<Full<Bytes>> {
        match manner {
            Manner::Hanging => std::future::pending().await,
            Manner::Slow(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        if parts.method == Method::POST && !is_json(parts.headers.get(header::CONTENT_TYPE)) {
            return plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid content type, only application/json is supported",
            );
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let asked = Asked { method: &parts.method, path, body };
        let Some(said) = self.ground.ask(self.network, self.node, |desk| desk.reply(&asked)) else {
            return plain(StatusCode::NO_CONTENT, "");
        };
        let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        said.json.map_or_else(|| plain(status, ""), |json| with_type(status, "application/json", json))
    }
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

fn refusal(manner: Manner) -> Option<Response<Full<Bytes>>> {
    match manner {
        Manner::RateLimited => {
            let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            Some(response)
        }
        Manner::Unauthorized => Some(plain(StatusCode::UNAUTHORIZED, "invalid credentials")),
        Manner::BadGateway => {
            Some(with_type(StatusCode::BAD_GATEWAY, "text/html", "<html><h1>502 Bad Gateway</h1></html>".to_owned()))
        }
        _ => None,
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    with_type(status, "text/plain", text.to_owned())
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn skewed_date(skew_ms: i64) -> HeaderValue {
    let ms = u64::try_from(Clock.now().wall.millis().saturating_add(skew_ms)).unwrap_or(0);
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
    HeaderValue::try_from(date).expect("a date is made of visible ASCII characters")
}
