//! Cookie authentication, as Bitcoin Core and its relatives offer it to whoever may read a file of theirs: user and
//! password on one line, written anew at every start of the node. So the file is read when the first request is made, and
//! again when the node refuses what it held; if another word stands there by then, the request is made once more.
//!
//! A file that cannot be read is no failure by itself: a node that has ended has removed it, and it is the refused
//! connection that tells so. Only a node that answers and refuses us shows that the file was needed.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, StatusCode};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    clock::Clock,
    observation::{ErrorKind, PollError},
    transport::{Client, Limits, Request, Response},
};

/// Largest file that is read; a cookie has 75 bytes.
const MAX_BYTES: u64 = 4096;

/// How long a poll waits for the file: a disk that hangs must not hold it up.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the file held may be used on the connection of one client.
#[derive(Debug, Default)]
pub(super) struct Cookie {
    /// Whether it has been read once.
    held: bool,
    /// A reading that is not finished: the file is not read by two at once.
    reading: Option<JoinHandle<io::Result<HeaderValue>>>,
}

impl Cookie {
    /// Makes a request through `client`, authenticated by the cookie file of its endpoint if it has one.
    ///
    /// # Errors
    /// Those of the exchange, and [`ErrorKind::Unauthorized`] if the node wants a cookie that cannot be read.
    pub(super) async fn exchange(
        &mut self,
        client: &mut Client,
        request: Request,
        limits: Limits,
    ) -> Result<Response, PollError> {
        let Some(path) = client.endpoint().cookie_file().cloned() else {
            return client.exchange(request, limits).await;
        };
        let stopwatch = Clock.stopwatch();
        let left = || Limits { deadline: limits.deadline.saturating_sub(stopwatch.elapsed()), ..limits };
        if !self.held
            && let Ok(word) = self.read(&path).await
        {
            client.authorize(&word);
        }
        let response = client.exchange(request.clone(), left()).await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let word = self.read(&path).await.map_err(|error| unreadable(&error))?;
        if client.authorize(&word) { client.exchange(request, left()).await } else { Ok(response) }
    }

    async fn read(&mut self, path: &Arc<Path>) -> io::Result<HeaderValue> {
        let path = Arc::clone(path);
        let reading = self.reading.get_or_insert_with(|| tokio::task::spawn_blocking(move || authorization(&path)));
        let Ok(read) = timeout(PATIENCE, reading).await else { return Err(io::ErrorKind::TimedOut.into()) };
        self.reading = None;
        let word = read.map_err(io::Error::other)?;
        self.held |= word.is_ok();
        word
    }
}

fn unreadable(error: &io::Error) -> PollError {
    PollError::new(ErrorKind::Unauthorized, &format!("the cookie file cannot be used: {error}"))
}

/// The value of the header that sends what stands in the file.
fn authorization(path: &Path) -> io::Result<HeaderValue> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if MAX_BYTES < bytes.len() as u64 {
        return Err(io::Error::other("larger than 4 KiB"));
    }
    let line = bytes.trim_ascii();
    if !line.contains(&b':') || line.iter().any(u8::is_ascii_control) {
        return Err(io::Error::other("it does not hold user:password on one line"));
    }
    let value = format!("Basic {}", BASE64_STANDARD.encode(line));
    let mut value = HeaderValue::try_from(value).map_err(io::Error::other)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a file with this content.
    fn made_of(name: &str, content: &[u8]) -> Result<String, String> {
        let path = std::env::temp_dir().join(format!("haltwatch-cookie-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        let made = authorization(&path);
        fs::remove_file(&path).unwrap();
        made.map(|value| value.to_str().unwrap().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_cookie_is_one_line_of_user_and_password() {
        let wanted = Ok("Basic X19jb29raWVfXzphYmM=".to_owned());
        assert_eq!(made_of("plain", b"__cookie__:abc"), wanted);
        assert_eq!(made_of("line", b"__cookie__:abc\r\n"), wanted);
        let wrong = Err("it does not hold user:password on one line".to_owned());
        for (name, content) in [("empty", &b""[..]), ("word", b"SECRET"), ("lines", b"a:b\nSECRET"), ("nul", b"a:\0")] {
            assert_eq!(made_of(name, content), wrong, "{name}");
        }
        assert_eq!(made_of("huge", &[b':'; 5000]), Err("larger than 4 KiB".to_owned()));
    }

    #[test]
    fn a_cookie_is_not_shown() {
        let path = std::env::temp_dir().join(format!("haltwatch-cookie-{}-shown", std::process::id()));
        fs::write(&path, "__cookie__:SECRET").unwrap();
        let made = authorization(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(format!("{made:?}"), "Ok(Sensitive)");
        assert!(authorization(&path).is_err() && authorization(&std::env::temp_dir()).is_err());
    }
}
