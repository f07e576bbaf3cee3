//! A request as it is written on the command line.

use crate::say::Failure;
use headgate_gateway::route::{Ask, Fields};

pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    pub(super) tls: bool,
    pub(super) host: &'a str,
    /// Where the URL names one.
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    headers: Vec<(String, String)>,
}

impl Fields for Question<'_> {
    fn value_of(&self, name: &[u8]) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, value)| value.as_bytes())
    }
}

impl<'a> Question<'a> {
    /// # Errors
    /// Says what is not understood, with an example.
    pub(super) fn parse(request: &'a str, headers: &[String]) -> Result<Self, Failure> {
        let request = request.trim();
        let (method, url) =
            request.split_once(' ').map_or(("GET", request), |(m, url)| (m, url.trim_start()));
        let example = "write one like 'GET https://shop.example/path'";
        if !headgate_model::grammar::is_token(method) {
            return Err(format!("`{method}` is not a method; {example}").into());
        }
        let (tls, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(format!("`{url}` is not a URL; {example}").into()),
        };
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("`{url}` has a blank in it; {example}").into());
        }
        // A fragment stays with the client.
        let rest = rest.split('#').next().unwrap_or_default();
        let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(path_start);
        let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = if path.is_empty() { "/" } else { path };
        let header = |line: &String| {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("`{line}` is not `name: value`"))?;
            Ok::<_, String>((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = headers.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Self { method, tls, host, port, path, query, headers })
    }

    /// What the route table is asked.
    pub(super) fn ask(&self, listener: u32) -> Ask<'_> {
        Ask {
            listener,
            host: self.host.as_bytes(),
            path: self.path.as_bytes(),
            query: self.query.map(str::as_bytes),
            method: self.method.as_bytes(),
            fields: self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Question;

    #[test]
    fn requests_as_people_write_them() {
        for (text, method, tls, host, path, query) in [
            ("GET https://a.test/x?y=1#z", "GET", true, "a.test", "/x", Some("y=1")),
            ("http://a.test:8080", "GET", false, "a.test:8080", "/", None),
            (" PUT  HTTP://a.test?q ", "PUT", false, "a.test", "/", Some("q")),
        ] {
            let question = Question::parse(text, &[]).unwrap();
            let got = (question.method, question.tls, question.host, question.path, question.query);
            assert_eq!(got, (method, tls, host, path, query), "{text}");
        }
        for bad in ["/path", "GET /path", "G@T http://a/", "ftp://a/", "GET http://a/b c"] {
            assert!(Question::parse(bad, &[]).is_err(), "{bad}");
        }
        assert!(Question::parse("http://a/", &["no colon".to_owned()]).is_err());
    }
}
