//! A store of objects that speaks as much of S3 as an upload in parts and a read from the middle need, and that fails on
//! demand.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;

/// What is stored, and what goes wrong.
#[derive(Debug, Default)]
pub struct Store {
    pub objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<u32, Vec<u8>>,
    /// Numbers of the parts that arrived, in their order.
    pub sent: Vec<u32>,
    /// Parts above this number are refused.
    pub refuse_above: Option<u32>,
    /// An answer breaks off after so many bytes.
    pub break_after: Option<usize>,
    /// An answer stops after so many bytes, without an end.
    pub hang_after: Option<usize>,
    /// First bytes of the reads that were asked for.
    pub reads: Vec<usize>,
}

/// Serves a [`Store`] until the process ends.
#[derive(Debug)]
pub struct Objects {
    pub url: String,
    store: Arc<Mutex<Store>>,
}

impl Objects {
    /// # Errors
    /// No free port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let store = Arc::new(Mutex::new(Store::default()));
        let shared = Arc::clone(&store);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = Arc::clone(&shared);
                // A client that goes away is part of the tests.
                thread::spawn(move || drop(serve(stream, &store)));
            }
        });
        Ok(Self { url, store })
    }

    /// The store, to look at or to change.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: TcpStream, store: &Mutex<Store>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length, mut from, mut signed) = (String::new(), 0, 0, false);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.trim().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        } else if let Some(value) = lower.strip_prefix("range: bytes=") {
            from = value.trim_end_matches('-').parse()?;
        }
        signed |= lower.starts_with("authorization: aws4-hmac-sha256 credential=");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    let refused = |code: &str| (403, format!("<Error><Code>{code}</Code></Error>").into_bytes());
    let (status, answer) = match method {
        "GET" => {
            store.reads.push(from);
            match store.objects.get(path) {
                Some(object) if from <= object.len() => (206, object[from..].to_vec()),
                _ => (404, Vec::new()),
            }
        }
        _ if !signed => refused("AccessDenied"),
        "POST" if query.starts_with("uploads") => {
            store.parts.clear();
            (200, b"<R><UploadId>an upload</UploadId></R>".to_vec())
        }
        "PUT" => {
            let number = query
                .trim_start_matches("partNumber=")
                .split('&')
                .next()
                .unwrap_or_default()
                .parse()?;
            if store.refuse_above.is_some_and(|most| number > most) {
                refused("AccessDenied")
            } else {
                store.parts.insert(number, body);
                store.sent.push(number);
                (200, Vec::new())
            }
        }
        "POST" => {
            let object = store.parts.values().flatten().copied().collect();
            store.objects.insert(path.to_owned(), object);
            (200, b"<R/>".to_vec())
        }
        _ => (405, Vec::new()),
    };
    let (broken, hangs) = (store.break_after, store.hang_after);
    drop(store);
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{}\r\netag: \"one\"\r\n\
         connection: close\r\n\r\n",
        answer.len(),
        (from + answer.len()).saturating_sub(1),
        from + answer.len(),
    )?;
    if method != "GET" {
        return Ok(stream.write_all(&answer)?);
    }
    let end = broken.or(hangs).unwrap_or(usize::MAX).min(answer.len());
    stream.write_all(&answer[..end])?;
    if hangs.is_some() {
        // Until the other side goes.
        let _ = stream.read(&mut [0]);
    }
    Ok(())
}
