//! A fake of an object store on loopback: takes objects whose URL is signed as the S3 protocol asks (Signature Version 4
//! in the query), and refuses all others.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use ring::{digest, hmac};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "a secret of the store";
pub const REGION: &str = "eu-test-1";

/// The fake. Ends with the process.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    pub address: SocketAddr,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    objects: BTreeMap<String, Vec<u8>>,
    /// Answered with these before anything is looked at.
    faults: VecDeque<u16>,
    refused: usize,
}

impl ObjectStore {
    pub async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let books = Arc::new(Mutex::new(Books::default()));
        let fake = Self { address: listener.local_addr()?, books: Arc::clone(&books) };
        let router = Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(books);
        tokio::spawn(async move { axum::serve(listener, router).await.ok() });
        Ok(fake)
    }

    pub fn fail_next(&self, status: u16) {
        self.books().faults.push_back(status);
    }

    /// Path of each object, and what it holds.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.books().objects.clone()
    }

    /// Requests that were not taken.
    pub fn refused(&self) -> usize {
        self.books().refused
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(
    State(books): State<Arc<Mutex<Books>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    let fault = books.faults.pop_front().and_then(|status| StatusCode::from_u16(status).ok());
    let host = headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = match fault {
        Some(status) => status,
        None if method != Method::PUT => StatusCode::METHOD_NOT_ALLOWED,
        None if !is_signed(&uri, host) => StatusCode::FORBIDDEN,
        None => StatusCode::OK,
    };
    match status {
        StatusCode::OK => drop(books.objects.insert(uri.path().to_owned(), body.to_vec())),
        _ => books.refused += 1,
    }
    status
}

/// By the steps of the protocol's documents: canonical request, text to sign, derived key.
fn is_signed(uri: &Uri, host: &str) -> bool {
    let query = uri.query().unwrap_or_default();
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    pairs.sort_unstable();
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let (Some(time), Some(signature)) = (value("X-Amz-Date"), value("X-Amz-Signature")) else { return false };
    let day = time.get(..8).unwrap_or_default();
    if value("X-Amz-Credential") != Some(&format!("{ACCESS_KEY}%2F{day}%2F{REGION}%2Fs3%2Faws4_request")) {
        return false;
    }
    let canonical = format!("PUT\n{}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", uri.path(), pairs.join("&"));
    let hashed = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let signed = format!("AWS4-HMAC-SHA256\n{time}\n{day}/{REGION}/s3/aws4_request\n{hashed}");
    let mac =
        |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let key = [day, REGION, "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, part| mac(&key, part));
    hex::encode(mac(&key, &signed)) == signature
}
