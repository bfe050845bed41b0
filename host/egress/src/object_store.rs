//! An object store that speaks the S3 protocol, for the host's own files. The operator names it; no plugin reaches it.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use url::Url;

use crate::client::{Egress, EgressError, class};

/// A signed URL is used at once.
const SIGNED_FOR: Duration = Duration::from_secs(300);
/// Slower than this many bytes a second is no upload.
const SLOWEST: u64 = 64 << 10;

/// Where objects go.
pub struct ObjectStoreSettings {
    /// `https://ENDPOINT/BUCKET` or `https://ENDPOINT/BUCKET/PREFIX`.
    pub url: Url,
    /// As the store signs it; `us-east-1` where it knows none.
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
}

impl std::fmt::Debug for ObjectStoreSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStoreSettings").field("region", &self.region).finish_non_exhaustive()
    }
}

/// Puts files into a bucket. Cheap to clone.
#[derive(Clone)]
pub struct ObjectStore {
    client: reqwest::Client,
    bucket: Bucket,
    prefix: String,
    credentials: Credentials,
}

impl ObjectStore {
    /// # Errors
    /// Says what is wrong with the settings.
    pub fn new(egress: &Egress, settings: ObjectStoreSettings) -> Result<Self, EgressError> {
        let wrong = |what: &str| EgressError::Denied(format!("the object store's URL {what}"));
        let mut path = settings.url.path().trim_matches('/').splitn(2, '/');
        let name = path.next().filter(|name| !name.is_empty()).ok_or_else(|| wrong("names no bucket"))?.to_owned();
        let prefix = path.next().map(|prefix| format!("{}/", prefix.trim_matches('/'))).unwrap_or_default();
        let mut endpoint = settings.url.clone();
        endpoint.set_path("/");
        let bucket = Bucket::new(endpoint, UrlStyle::Path, name, settings.region)
            .map_err(|error| wrong(&format!("cannot be used: {error}")))?;
        let credentials = Credentials::new(settings.access_key, settings.secret_key);
        Ok(Self { client: egress.operators()?, bucket, prefix, credentials })
    }

    /// How people write an object's place.
    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket.name(), self.prefix)
    }

    /// Puts a file there, whole; the same key again replaces it.
    ///
    /// # Errors
    /// `Refused` with the store's status; all else is worth another try.
    pub async fn put_file(&self, key: &str, content_type: &str, path: &Path) -> Result<(), EgressError> {
        let unreadable = |error: std::io::Error| EgressError::Denied(format!("the file cannot be read: {error}"));
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let length = file.metadata().await.map_err(unreadable)?.len();
        let object = format!("{}{key}", self.prefix);
        let url = self.bucket.put_object(Some(&self.credentials), &object).sign(SIGNED_FOR);
        let patience = Duration::from_secs(30 + length / SLOWEST);
        let request = self.client.put(url).header(CONTENT_TYPE, content_type).header(CONTENT_LENGTH, length);
        let answer = request.timeout(patience).body(file).send().await.map_err(|error| class(&error))?;
        if answer.status().is_success() { Ok(()) } else { Err(EgressError::Refused(answer.status().as_u16())) }
    }
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStore").field("bucket", &self.bucket.name()).finish_non_exhaustive()
    }
}
