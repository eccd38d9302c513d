//! A connection to one bucket.
//!
//! Callers block; a runtime of one thread does the waiting. Retries and their backoff are `object_store`'s, bounded here
//! so that a store that is gone is told within half a minute.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use tokio::runtime::Runtime;

use crate::fault;
use crate::location::{Remote, Scheme};
use crate::object::Cache;

/// The longest that one request may take, retries and all. A segment of 64 MiB passes at 1 MiB/s.
const DEADLINE: Duration = Duration::from_secs(90);
/// Silence on a connection that is taken for its end.
const SILENCE: &str = "15 seconds";
const CONNECT: &str = "3 seconds";

/// Connections by bucket, so that several prefixes of one share it.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    engine: OnceLock<Arc<Engine>>,
    buckets: BTreeMap<(Scheme, String), Arc<Bucket>>,
}

/// One bucket, connected as the environment says.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    engine: Arc<Engine>,
    /// What was read lately of its objects.
    pub(crate) cache: Cache,
}

/// Waits for the network.
struct Engine {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

// === impl Connections ===

impl Connections {
    /// The connection for `remote`; nothing is sent yet.
    pub(crate) fn bucket(&mut self, remote: &Remote) -> io::Result<Arc<Bucket>> {
        let name = (remote.scheme, remote.bucket.clone());
        if let Some(bucket) = self.buckets.get(&name) {
            return Ok(Arc::clone(bucket));
        }
        let engine = match self.engine.get() {
            Some(engine) => Arc::clone(engine),
            None => Arc::clone(self.engine.get_or_init(|| Arc::new(Engine::start()))),
        };
        let store = connect(remote)?;
        let bucket = Arc::new(Bucket { store, engine, cache: Cache::default() });
        self.buckets.insert(name, Arc::clone(&bucket));
        Ok(bucket)
    }
}

// === impl Bucket ===

impl Bucket {
    /// Runs one piece of work to its end. May be called from any thread, also from one of another runtime.
    pub(crate) fn run<T, F>(
        &self,
        remote: &Remote,
        work: impl FnOnce(Arc<dyn ObjectStore>) -> F,
    ) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, object_store::Error>> + Send + 'static,
    {
        let Some(runtime) = &self.engine.runtime else { return Err(io::Error::other("no runtime")) };
        let (sender, receiver) = mpsc::channel();
        let work = work(Arc::clone(&self.store));
        runtime.spawn(async move {
            // The caller waits until it is dropped or answered, so a failure to send cannot matter.
            sender.send(tokio::time::timeout(DEADLINE, work).await).ok();
        });
        match receiver.recv() {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(fault::explain(&error, remote)),
            Ok(Err(_elapsed)) => Err(fault::too_late(remote)),
            Err(_) => Err(io::Error::other("the request to the store ended without an answer")),
        }
    }
}

// === impl Engine ===

impl Engine {
    fn start() -> Engine {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build();
        // Without threads there is nothing this process could do: the first request says so.
        Engine { runtime: runtime.ok() }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting here would panic on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

// === stores ===

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(3),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(20),
    }
}

fn connect(remote: &Remote) -> io::Result<Arc<dyn ObjectStore>> {
    // The one TLS provider of this workspace; a process may have chosen it already.
    rustls::crypto::ring::default_provider().install_default().ok();
    match remote.scheme {
        Scheme::S3 => s3(remote),
        Scheme::Gs => gs(remote),
        Scheme::Az => az(remote),
    }
}

#[cfg(feature = "aws")]
fn s3(remote: &Remote) -> io::Result<Arc<dyn ObjectStore>> {
    use object_store::ClientConfigKey;
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&remote.bucket)
        .with_retry(retries())
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ReadTimeout), SILENCE)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), "90 seconds");
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    if let Some(endpoint) = endpoint.and_then(|endpoint| url::Url::parse(&endpoint).ok()) {
        if loopback(&endpoint) {
            builder = builder.with_allow_http(true);
        } else if endpoint.scheme() == "http" && !is_true("AWS_ALLOW_HTTP") {
            let what = "AWS_ENDPOINT_URL is not https: captures would pass in the clear; AWS_ALLOW_HTTP=true allows it";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    }
    built(builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>), remote)
}

#[cfg(feature = "gcp")]
fn gs(remote: &Remote) -> io::Result<Arc<dyn ObjectStore>> {
    use object_store::ClientConfigKey;
    use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

    let builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(&remote.bucket)
        .with_retry(retries())
        .with_config(GoogleConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::ReadTimeout), SILENCE)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), "90 seconds");
    built(builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>), remote)
}

#[cfg(feature = "azure")]
fn az(remote: &Remote) -> io::Result<Arc<dyn ObjectStore>> {
    use object_store::ClientConfigKey;
    use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(&remote.bucket)
        .with_retry(retries())
        .with_config(AzureConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT)
        .with_config(AzureConfigKey::Client(ClientConfigKey::ReadTimeout), SILENCE)
        .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), "90 seconds");
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    if endpoint.and_then(|endpoint| url::Url::parse(&endpoint).ok()).is_some_and(|url| loopback(&url)) {
        builder = builder.with_allow_http(true);
    }
    built(builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>), remote)
}

#[cfg(not(feature = "aws"))]
fn s3(remote: &Remote) -> io::Result<Arc<dyn ObjectStore>> {
    left_out(remote, "aws")
}

#[cfg(not(feature = "gcp"))]
fn gs(remote: &Remote) -> io::Result<Arc<dyn ObjectStore>> {
    left_out(remote, "gcp")
}

#[cfg(not(feature = "azure"))]
fn az(remote: &Remote) -> io::Result<Arc<dyn ObjectStore>> {
    left_out(remote, "azure")
}

#[cfg(not(all(feature = "aws", feature = "gcp", feature = "azure")))]
fn left_out(remote: &Remote, feature: &str) -> io::Result<Arc<dyn ObjectStore>> {
    let what = format!(
        "this build knows no {}:// stores: build understudy with the feature `{feature}`",
        remote.scheme.name()
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

fn built(
    store: Result<Arc<dyn ObjectStore>, object_store::Error>,
    remote: &Remote,
) -> io::Result<Arc<dyn ObjectStore>> {
    store.map_err(|error| {
        let explained = fault::explain(&error, remote);
        io::Error::new(io::ErrorKind::InvalidInput, explained.to_string())
    })
}

#[cfg(any(feature = "aws", feature = "azure"))]
fn loopback(endpoint: &url::Url) -> bool {
    match endpoint.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(feature = "aws")]
fn is_true(variable: &str) -> bool {
    std::env::var(variable)
        .is_ok_and(|value| ["1", "true", "yes", "on"].contains(&&*value.to_ascii_lowercase()))
}
