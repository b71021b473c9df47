//! A server of files on loopback that fails as it is told: HTTP and as much of
//! S3 as reading takes.
//!
//! It speaks HTTP/1.1 by hand, on a thread for each connection, for what it is
//! for are the faults that a well-mannered library would not commit:
//! connections that are reset, bodies that end early, answers that never begin.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A request, as the server saw it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How many requests came before this one.
    pub n: usize,
    /// How many of them asked for the same file up to the same byte: what broke
    /// off and is resumed is asked for again.
    pub before: usize,
    /// `GET`, `HEAD`, `POST`.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// What follows `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body of a POST.
    pub body: String,
}

impl Asked {
    /// A header, empty where it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether the request is signed as S3's are.
    pub fn is_signed(&self) -> bool {
        self.header("authorization")
            .starts_with("AWS4-HMAC-SHA256 ")
    }
}

/// What the server does instead of serving the file.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with this status, these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Resets the connection before it answers.
    Reset,
    /// Promises the whole answer, sends so many bytes of its body and resets
    /// the connection.
    Truncate(usize),
    /// Sends so many bytes of the body without saying how many there will be,
    /// and closes the connection in good order.
    CutShort(usize),
    /// Serves the file after this time.
    Late(Duration),
    /// Answers nothing and waits until the client gives up.
    Never,
}

impl Fault {
    /// An error as S3 writes it.
    pub fn s3(status: u16, code: &str) -> Self {
        Fault::Answer(
            status,
            vec![("content-type", "application/xml".to_owned())],
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
                 <Message>said by a test</Message></Error>"
            ),
        )
    }
}

type Rule = dyn Fn(&Asked) -> Option<Fault> + Send + Sync;

struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    rule: Box<Rule>,
    has_etags: bool,
    n_asked: AtomicUsize,
    log: Mutex<Vec<Asked>>,
    seen: Mutex<HashMap<String, usize>>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
    is_over: AtomicBool,
}

/// A server of files, until it is dropped.
pub struct StoreServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for StoreServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl StoreServer {
    /// Serves `files`, by paths such as `/bucket/key`, but where `rule` says what
    /// else to do.
    ///
    /// # Panics
    /// Where no port of the loopback can be had.
    pub fn start(
        files: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
        rule: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(files, true, rule)
    }

    /// As [`StoreServer::start`], without etags: what broke off cannot be resumed.
    ///
    /// # Panics
    /// As [`StoreServer::start`].
    pub fn start_plain(
        files: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
        rule: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(files, false, rule)
    }

    fn serve(
        files: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
        has_etags: bool,
        rule: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
        let address = listener.local_addr().expect("a bound socket has one");
        let files = files
            .into_iter()
            .map(|(path, bytes)| (path.to_owned(), bytes));
        let shared = Arc::new(Shared {
            files: files.collect(),
            rule: Box::new(rule),
            has_etags,
            n_asked: AtomicUsize::new(0),
            log: Mutex::default(),
            seen: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.connection(stream));
            }
        });
        StoreServer { address, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.log).clone()
    }

    /// How many requests came until now.
    pub fn n_asked(&self) -> usize {
        self.shared.n_asked.load(Ordering::SeqCst)
    }

    /// The most requests that were answered at the same time.
    pub fn peak_in_flight(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connection(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut buffer = Vec::new();
        while let Some(asked) = self.request(&mut stream, &mut buffer) {
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.peak.fetch_max(now, Ordering::SeqCst);
            let goes_on = self.answer(&mut stream, &asked);
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            if !goes_on {
                return;
            }
        }
    }

    /// Reads one request; `None` when the client is gone.
    fn request(&self, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
        let mut part = [0; 4096];
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return None,
                Ok(n) => buffer.extend_from_slice(&part[..n]),
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end + 4);
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?);
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or(0);
        while buffer.len() < length {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return None,
                Ok(n) => buffer.extend_from_slice(&part[..n]),
            }
        }
        let body: Vec<u8> = buffer.drain(..length).collect();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let range = headers.get("range").cloned().unwrap_or_default();
        let before = {
            let mut seen = lock(&self.seen);
            let end = range.rsplit('-').next().unwrap_or_default();
            let times = seen.entry(format!("{path} {end}")).or_default();
            *times += 1;
            *times - 1
        };
        let asked = Asked {
            n: self.n_asked.fetch_add(1, Ordering::SeqCst),
            before,
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        lock(&self.log).push(asked.clone());
        Some(asked)
    }

    /// Answers; gives back whether the connection stays open.
    fn answer(&self, stream: &mut TcpStream, asked: &Asked) -> bool {
        let mut cut = None;
        let mut is_length_told = true;
        match (self.rule)(asked) {
            None => {}
            Some(Fault::Late(time)) => std::thread::sleep(time),
            Some(Fault::Never) => {
                // Ends when the client closes the connection.
                let _ = stream.set_read_timeout(None);
                let _ = stream.read(&mut [0]);
                return false;
            }
            Some(Fault::Truncate(n)) => cut = Some(n),
            Some(Fault::CutShort(n)) => {
                cut = Some(n);
                is_length_told = false;
            }
            Some(Fault::Reset) => {
                reset(stream);
                return false;
            }
            Some(Fault::Answer(status, headers, body)) => {
                return send(stream, asked, status, &headers, body.as_bytes());
            }
        }
        let Some(file) = self.files.get(&asked.path) else {
            let Fault::Answer(status, headers, body) = Fault::s3(404, "NoSuchKey") else {
                return false;
            };
            return send(stream, asked, status, &headers, body.as_bytes());
        };
        let mut headers = vec![
            ("accept-ranges", "bytes".to_owned()),
            ("last-modified", "Wed, 01 Jan 2020 00:00:00 GMT".to_owned()),
        ];
        if self.has_etags {
            headers.push(("etag", format!("\"{}-1\"", file.len())));
        }
        let (status, body) = match range_of(asked.header("range"), file.len()) {
            None => (200, &file[..]),
            Some(range) if range.is_empty() => {
                return send(stream, asked, 416, &headers, b"");
            }
            Some(range) => {
                let (start, end) = (range.start, range.end);
                headers.push((
                    "content-range",
                    format!("bytes {start}-{}/{}", end - 1, file.len()),
                ));
                (206, &file[range])
            }
        };
        let Some(n) = cut else {
            return send(stream, asked, status, &headers, body);
        };
        let mut text = head(status, &headers);
        if is_length_told {
            let _ = write!(text, "content-length: {}\r\n\r\n", body.len());
        } else {
            text.push_str("connection: close\r\n\r\n");
        }
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.write_all(&body[..n.min(body.len())]);
        let _ = stream.flush();
        if is_length_told {
            // What was sent has to arrive before the reset does.
            std::thread::sleep(Duration::from_millis(20));
            reset(stream);
        }
        false
    }
}

fn head(status: u16, headers: &[(&'static str, String)]) -> String {
    let mut text = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text
}

fn send(
    stream: &mut TcpStream,
    asked: &Asked,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> bool {
    let mut text = head(status, headers);
    let _ = write!(text, "content-length: {}\r\n\r\n", body.len());
    let body = if asked.method == "HEAD" { &[] } else { body };
    stream.write_all(text.as_bytes()).is_ok() && stream.write_all(body).is_ok()
}

/// Makes the end of the connection a reset instead of an end.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// The bytes that `bytes=A-B`, `bytes=A-` or `bytes=-N` are of a file.
fn range_of(header: &str, size: usize) -> Option<std::ops::Range<usize>> {
    let (start, end) = header.strip_prefix("bytes=")?.split_once('-')?;
    match (start.parse::<usize>(), end.parse::<usize>()) {
        (Ok(start), Ok(end)) => Some(start.min(size)..(end + 1).min(size)),
        (Ok(start), Err(_)) => Some(start.min(size)..size),
        (Err(_), Ok(last)) => Some(size.saturating_sub(last)..size),
        (Err(_), Err(_)) => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
