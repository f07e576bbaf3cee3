//! Heads and whole responses as they came off the wire.

/// A message head. The raw bytes stay: tests of framing look at them.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    text: String,
}

impl Head {
    /// `raw` ends with the empty line.
    pub(crate) fn new(raw: Vec<u8>) -> Self {
        // Bytes above 127 are kept one to one, so that tests can look for them.
        Self { text: raw.into_iter().map(char::from).collect() }
    }

    pub(crate) fn first_line(&self) -> &str {
        self.text.split("\r\n").next().unwrap_or_default()
    }

    pub(crate) fn is_request(&self) -> bool {
        !self.text.starts_with("HTTP/")
    }

    pub(crate) fn status(&self) -> u16 {
        self.first_line().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.first_line().split(' ').nth(1).unwrap_or_default()
    }

    /// Field lines as sent, without CRLF.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.text.split("\r\n").skip(1).filter(|line| !line.is_empty()).collect()
    }

    /// All values of a field, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let pairs = self.lines().into_iter().filter_map(|line| line.split_once(':'));
        pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The value of a field that must not occur twice.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} occurs {} times in {self:?}", values.len());
        values.first().copied()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }
}

/// A response and its body, without framing.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
