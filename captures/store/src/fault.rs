//! What a store's refusal means for people: the cause in one line and the way out.
//!
//! A store's own words are not repeated: they may quote headers, and run over many lines. Of its answer only the code is
//! kept (`NoSuchBucket`), of a broken connection what the system said.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use crate::location::{Remote, Scheme};

/// Longest code of a store that is repeated.
const MAX_CODE: usize = 40;

/// The error in terms of `remote`.
pub(crate) fn explain(error: &Error, remote: &Remote) -> io::Error {
    let code = code(error);
    let (kind, what) = match (error, code.as_deref()) {
        (_, Some("NoSuchBucket" | "ContainerNotFound")) => (
            ErrorKind::NotFound,
            format!("there is no bucket {}: check its name{}", remote.bucket, endpoint(remote.scheme)),
        ),
        (
            _,
            Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AuthFailure" | "InvalidClientTokenId"),
        )
        | (Error::Unauthenticated { .. }, _) => (
            ErrorKind::PermissionDenied,
            format!("the store does not accept the credentials: check {}", credentials(remote.scheme)),
        ),
        (
            _,
            Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"),
        ) => (ErrorKind::InvalidInput, "the bucket is in another region: set AWS_REGION to it".to_owned()),
        (Error::NotFound { .. }, _) => (ErrorKind::NotFound, "there is no such object".to_owned()),
        (Error::AlreadyExists { .. }, _) => {
            (ErrorKind::AlreadyExists, "it exists, and segments are never overwritten".to_owned())
        }
        (Error::Precondition { .. }, _) => {
            (ErrorKind::InvalidData, "it was replaced while it was being read: read it again".to_owned())
        }
        (Error::PermissionDenied { .. }, code) => (
            ErrorKind::PermissionDenied,
            format!(
                "access denied{}: the credentials need the right to list, read or write there; check {}",
                code.map(|code| format!(" ({code})")).unwrap_or_default(),
                credentials(remote.scheme)
            ),
        ),
        _ => transport(error, code.as_deref(), remote.scheme),
    };
    io::Error::new(kind, what)
}

/// Nothing came back within the deadline.
pub(crate) fn too_late(remote: &Remote) -> io::Error {
    let what = format!("the store did not answer in time{}", endpoint(remote.scheme));
    io::Error::new(ErrorKind::TimedOut, what)
}

fn transport(error: &Error, code: Option<&str>, scheme: Scheme) -> (ErrorKind, String) {
    let text = chain(error).map(|cause| cause.to_string()).collect::<Vec<_>>().join(" ");
    // The builders fall back to the metadata service of a cloud's machine when nothing else is configured.
    if text.contains("169.254.") || text.contains("metadata.google") || text.contains("credential") {
        let what = format!("no credentials are configured: set {}", credentials(scheme));
        return (ErrorKind::PermissionDenied, what);
    }
    if text.contains("redirect without LOCATION") {
        return (ErrorKind::InvalidInput, "the bucket is in another region: set AWS_REGION to it".to_owned());
    }
    if let Some(code) = code {
        return (ErrorKind::Other, format!("the store answered {code}"));
    }
    let system = chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
    let cause = system.map(|system| format!(" ({})", plain(system))).unwrap_or_default();
    let http = chain(error).find_map(|cause| cause.downcast_ref::<HttpError>()).map(HttpError::kind);
    match http {
        Some(HttpErrorKind::Connect) => {
            (ErrorKind::ConnectionRefused, format!("cannot connect to the store{cause}{}", endpoint(scheme)))
        }
        Some(HttpErrorKind::Timeout) => {
            (ErrorKind::TimedOut, format!("the store did not answer in time{}", endpoint(scheme)))
        }
        Some(_) => (ErrorKind::ConnectionAborted, format!("the connection to the store broke{cause}")),
        None => {
            let status = text.split_once("status code: ").map(|(_, rest)| rest);
            let status: String =
                status.unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
            let answered = if status.is_empty() { String::new() } else { format!(" with {status}") };
            (ErrorKind::Other, format!("the store refused{answered}{}", endpoint(scheme)))
        }
    }
}

/// What the system said, on one line.
fn plain(error: &io::Error) -> String {
    error.kind().to_string()
}

/// The code in a store's XML answer.
fn code(error: &Error) -> Option<String> {
    chain(error).find_map(|cause| {
        let text = cause.to_string();
        let (_, rest) = text.split_once("<Code>")?;
        let (code, _) = rest.split_once("</Code>")?;
        let known = code.len() <= MAX_CODE && code.bytes().all(|b| b.is_ascii_alphanumeric());
        known.then(|| code.to_owned())
    })
}

fn chain(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// Variables that hold credentials.
fn credentials(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => {
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN if they are temporary), or \
             AWS_SKIP_SIGNATURE=true for a public bucket"
        }
        Scheme::Gs => "GOOGLE_APPLICATION_CREDENTIALS to a service account's file",
        Scheme::Az => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    }
}

/// Where to look when the store itself may be the wrong one.
fn endpoint(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => "; AWS_ENDPOINT_URL and AWS_REGION say which store that is",
        Scheme::Gs => "",
        Scheme::Az => "; AZURE_STORAGE_ACCOUNT_NAME says which store that is",
    }
}
