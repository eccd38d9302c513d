//! What a path or URL names.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

/// Where a capture is, or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file or directory of this machine.
    Local(PathBuf),
    /// An object or prefix in a store.
    Remote(Remote),
}

/// An object, or a prefix of objects, in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Which kind of store.
    pub scheme: Scheme,
    /// Bucket, or container in Azure.
    pub bucket: String,
    /// Key or prefix without slashes at its ends; empty is the whole bucket.
    pub key: String,
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Amazon S3, and everything that speaks like it.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
}

/// A URL that names no place for a capture. Never quotes more than scheme and host, since the rest may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Another scheme.
    #[error("no store is known for {scheme}://: use a path, file://, s3://, gs:// or az://")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// Not a URL after all.
    #[error("not a URL such as {scheme}://BUCKET/PREFIX/")]
    Malformed {
        /// The scheme.
        scheme: String,
    },
    /// A password, a signature, a fragment.
    #[error(
        "a URL with credentials or a query is refused, because it would end up in reports and shell histories: \
         write {place}/PREFIX/ and give credentials by the environment (docs/storage.md)"
    )]
    Credentials {
        /// Scheme and host.
        place: String,
    },
}

// === impl Location ===

impl Location {
    /// Reads a path or a URL.
    ///
    /// # Errors
    ///
    /// An unknown scheme, a URL without a bucket, one that holds credentials.
    pub fn parse(text: &Path) -> Result<Location, LocationError> {
        let Some((scheme, url)) = text.to_str().and_then(|text| Some((scheme_of(text)?, text))) else {
            return Ok(Location::Local(text.to_owned()));
        };
        let malformed = || LocationError::Malformed { scheme: scheme.to_owned() };
        let known = match scheme {
            "file" => None,
            "s3" => Some(Scheme::S3),
            "gs" => Some(Scheme::Gs),
            "az" => Some(Scheme::Az),
            other => return Err(LocationError::Scheme { scheme: other.to_owned() }),
        };
        let url = Url::parse(url).map_err(|_| malformed())?;
        let bucket = url.host_str().unwrap_or_default().to_owned();
        let secret = !url.username().is_empty() || url.password().is_some();
        if secret || url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
            return Err(LocationError::Credentials { place: format!("{scheme}://{bucket}") });
        }
        match known {
            None => url.to_file_path().map(Location::Local).map_err(|()| malformed()),
            Some(_) if bucket.is_empty() => Err(malformed()),
            Some(scheme) => {
                let key = object_store::path::Path::from_url_path(url.path()).map_err(|_| malformed())?;
                Ok(Location::Remote(Remote { scheme, bucket, key: key.to_string() }))
            }
        }
    }
}

/// What stands before `://`, when it can be a scheme. A directory of that name would need a trailing colon.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let plain = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+');
    plain.then_some(scheme)
}

// === impl Remote ===

impl Remote {
    /// The object `name` under this prefix.
    pub(crate) fn child(&self, name: &str) -> Remote {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}/{name}", self.key) };
        Remote { key, ..self.clone() }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme.name(), self.bucket, self.key)
    }
}

// === impl Scheme ===

impl Scheme {
    /// As in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::S3 => "s3",
            Scheme::Gs => "gs",
            Scheme::Az => "az",
        }
    }
}

// === impl LocationError ===

impl LocationError {
    /// As much of the URL as may be shown.
    pub fn shown(&self) -> String {
        match self {
            LocationError::Scheme { scheme } | LocationError::Malformed { scheme } => format!("{scheme}://"),
            LocationError::Credentials { place } => place.clone(),
        }
    }
}

impl From<LocationError> for io::Error {
    fn from(error: LocationError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, LocationError> {
        Location::parse(Path::new(text))
    }

    fn remote(scheme: Scheme, bucket: &str, key: &str) -> Result<Location, LocationError> {
        Ok(Location::Remote(Remote { scheme, bucket: bucket.into(), key: key.into() }))
    }

    #[test]
    fn paths_stay_paths_and_urls_name_bucket_and_key() {
        assert_eq!(parse("captures/a:b"), Ok(Location::Local("captures/a:b".into())));
        assert_eq!(parse("file:///srv/a%20b"), Ok(Location::Local("/srv/a b".into())));
        assert_eq!(parse("s3://bucket"), remote(Scheme::S3, "bucket", ""));
        assert_eq!(parse("s3://bucket/a/b/"), remote(Scheme::S3, "bucket", "a/b"));
        assert_eq!(parse("gs://b/one.ucap"), remote(Scheme::Gs, "b", "one.ucap"));
        assert_eq!(parse("az://container/x"), remote(Scheme::Az, "container", "x"));
    }

    #[test]
    fn what_holds_a_credential_is_refused_and_not_repeated() {
        for url in
            ["s3://AKIDSECRET:hunter2@bucket/a", "s3://bucket/a?X-Amz-Signature=hunter2", "az://c/a#hunter2"]
        {
            let error = parse(url).unwrap_err();
            let said = format!("{} {error} {error:?}", error.shown());
            assert!(said.contains("refused"), "{said}");
            assert!(!said.contains("hunter2") && !said.contains("SECRET"), "{said}");
        }
    }

    #[test]
    fn other_schemes_are_named_with_the_known_ones() {
        let said = parse("ftp://host/x").unwrap_err().to_string();
        assert!(said.contains("ftp://") && said.contains("s3://"), "{said}");
        assert!(parse("s3:///x").is_err());
    }
}
