//! Plays everybody who is told by Alertmanager: an HTTP server that answers every webhook, pager and chat with success,
//! and a mail server that takes every mail. Both keep what they were sent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::port;

/// How quickly the end is noticed.
const TICK: Duration = Duration::from_millis(20);

/// How long a client may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest message that is kept.
const MAX_BODY: usize = 1 << 20;

/// What every service of the world takes for success.
const SUCCESS: &str = r#"{"ok":true,"status":"success","errcode":0,"errmsg":"ok"}"#;

/// Something that was told.
#[derive(Debug, Clone)]
pub struct Told {
    /// When it arrived.
    pub at: Instant,
    /// The path and query it was posted to; `mail` for a mail.
    pub to: String,
    /// Its body; for a mail all of it.
    pub body: String,
}

/// Everything that was told so far.
#[derive(Debug, Default)]
struct Desk {
    told: Mutex<Vec<Told>>,
    stop: AtomicBool,
}

/// Both servers.
#[derive(Debug)]
pub struct Recorder {
    /// Where webhooks go.
    pub http: SocketAddr,
    /// Where mail goes.
    pub smtp: SocketAddr,
    desk: Arc<Desk>,
}

impl Recorder {
    /// Starts both on free ports.
    pub fn start() -> Result<Self> {
        let desk = Arc::new(Desk::default());
        let (http, smtp) = (serve(&desk, take_post)?, serve(&desk, take_mail)?);
        Ok(Self { http, smtp, desk })
    }

    /// What was told to `to` (the beginning of the path, or `mail`; nothing for all) so far, in the order of arrival.
    pub fn told(&self, to: &str) -> Vec<Told> {
        self.desk.all().into_iter().filter(|told| told.to.starts_with(to)).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::SeqCst);
    }
}

impl Desk {
    fn all(&self) -> Vec<Told> {
        self.told.lock().map(|told| told.clone()).unwrap_or_default()
    }

    fn note(&self, to: &str, body: String) {
        if let Ok(mut told) = self.told.lock() {
            told.push(Told { at: Instant::now(), to: to.to_owned(), body });
        }
    }
}

/// Serves on a free port; each connection has a thread.
fn serve(desk: &Arc<Desk>, take: fn(TcpStream, &Desk) -> Result<()>) -> Result<SocketAddr> {
    let listener = TcpListener::bind(port::free())?;
    listener.set_nonblocking(true)?;
    let (address, desk) = (listener.local_addr()?, Arc::clone(desk));
    thread::spawn(move || {
        while !desk.stop.load(Ordering::SeqCst) {
            let Ok((stream, _)) = listener.accept() else {
                thread::sleep(TICK);
                continue;
            };
            let desk = Arc::clone(&desk);
            // A client that goes away in the middle has told nothing.
            thread::spawn(move || drop(take(stream, &desk)));
        }
    });
    Ok(address)
}

/// One request; the connection ends with the answer.
fn take_post(stream: TcpStream, desk: &Desk) -> Result<()> {
    let (mut reader, mut writer) = both_ways(stream)?;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let to = line.split(' ').nth(1).context("no request line")?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; MAX_BODY.min(length)];
    reader.read_exact(&mut body)?;
    desk.note(&to, String::from_utf8_lossy(&body).into_owned());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", SUCCESS.len());
    write!(writer, "{head}Connection: close\r\n\r\n{SUCCESS}")?;
    Ok(())
}

/// One conversation of SMTP.
fn take_mail(stream: TcpStream, desk: &Desk) -> Result<()> {
    let (mut reader, mut writer) = both_ways(stream)?;
    writer.write_all(b"220 recorder\r\n")?;
    let mut line = String::new();
    while reader.read_line(&mut line)? != 0 {
        let answer: &[u8] = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "DATA" => {
                writer.write_all(b"354 go on\r\n")?;
                desk.note("mail", read_mail(&mut reader)?);
                b"250 taken\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        writer.write_all(answer)?;
        line.clear();
    }
    Ok(())
}

fn read_mail(reader: &mut impl BufRead) -> Result<String> {
    let mut mail = String::new();
    loop {
        let begin = mail.len();
        if reader.read_line(&mut mail)? == 0 || mail[begin..].trim_end() == "." || MAX_BODY < mail.len() {
            return Ok(mail);
        }
    }
}

fn both_ways(stream: TcpStream) -> Result<(BufReader<TcpStream>, TcpStream)> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok((BufReader::new(stream.try_clone()?), stream))
}
