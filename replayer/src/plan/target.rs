//! Where a candidate listens.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

use super::Target;
use super::values::BadValue;

// === impl Target ===

impl Target {
    /// `host:port`, without the port where it is HTTP's own: what goes into the `Host` field.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}

impl FromStr for Target {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Target, BadValue> {
        let bad = |reason: &str| Err(BadValue(format!("`{text}`: {reason}")));
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return bad(
                    "https is not spoken: rehearse inside the cluster over http, behind what ends TLS",
                );
            }
            Some(_) => return bad("only http:// is spoken"),
            None => return bad("not a URL: write http://HOST:PORT"),
        };
        if rest.contains(['?', '#']) {
            return bad("a target has no query and no fragment: those come with the recorded requests");
        }
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(BadValue(
                "a URL carries no credentials here: pass them with --header-env, so that they stay out of \
                 process lists and reports"
                    .into(),
            ));
        }
        let Ok(uri) = text.parse::<Uri>() else { return bad("not a URL: write http://HOST:PORT") };
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else { return bad("lacks a host") };
        let port = match uri.port() {
            Some(port) if port.as_u16() == 0 => return bad("port 0 is not a port to connect to"),
            Some(port) => port.as_u16(),
            None if rest
                .split('/')
                .next()
                .is_some_and(|a| a.ends_with(':') || a.contains(":") && !a.ends_with(']')) =>
            {
                return bad("not a port number from 1 to 65535");
            }
            None => 80,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Target { host, port, prefix })
    }
}
