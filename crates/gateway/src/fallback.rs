//! What is answered when a service could not: compiled from the settings, its file read. When it is used is
//! decided in `dispatch`.

use headgate_model::spec;
use std::fs::File;
use std::io::Read;

/// The largest file to answer with, in bytes.
pub(crate) const FILE_MAX: u64 = 1 << 20;

/// A compiled fallback.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Index of the service that answers instead.
    Service(usize),
    Answer {
        status: u16,
        content_type: Box<[u8]>,
        body: Box<[u8]>,
    },
}

impl Fallback {
    /// Compiles a fallback and reads its file. `service` finds a service by name.
    ///
    /// # Errors
    /// Says what cannot be used.
    pub(crate) fn compile(
        spec: &spec::Fallback,
        service: impl Fn(&str) -> Option<usize>,
    ) -> Result<Self, String> {
        let answer = |body: Vec<u8>, content_type: &str| Self::Answer {
            status: spec.status.unwrap_or(503),
            content_type: spec.content_type.as_deref().unwrap_or(content_type).as_bytes().into(),
            body: body.into(),
        };
        match (&spec.service, &spec.body, &spec.file) {
            (Some(name), None, None) => service(name)
                .map(Self::Service)
                .ok_or_else(|| format!("the fallback service `{name}` does not exist")),
            (None, Some(body), None) => Ok(answer(body.clone().into_bytes(), "text/plain; charset=utf-8")),
            (None, None, Some(path)) => Ok(answer(read(path)?, "text/html; charset=utf-8")),
            _ => Err("a fallback has exactly one of `service`, `body` and `file`".to_owned()),
        }
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let cannot = |error| format!("the fallback file `{path}` cannot be read: {error}");
    let mut content = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut content)).map_err(cannot)?;
    if content.len() as u64 > FILE_MAX {
        return Err(format!("the fallback file `{path}` is larger than 1 MiB; make it smaller"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(spec: spec::Fallback) -> Result<Fallback, String> {
        Fallback::compile(&spec, |name| (name == "spare").then_some(3))
    }

    #[test]
    fn defaults() {
        let body = spec::Fallback { body: Some("sorry".to_owned()), ..spec::Fallback::default() };
        let Ok(Fallback::Answer { status, content_type, body }) = compile(body) else { panic!() };
        assert_eq!((status, &*content_type, &*body), (503, &b"text/plain; charset=utf-8"[..], &b"sorry"[..]));
        let spare = spec::Fallback { service: Some("spare".to_owned()), ..spec::Fallback::default() };
        assert_eq!(compile(spare), Ok(Fallback::Service(3)));
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let path = std::env::temp_dir().join(format!("headgate-fallback-{}", std::process::id()));
        let spec = spec::Fallback { file: Some(path.display().to_string()), ..spec::Fallback::default() };
        std::fs::write(&path, vec![b'x'; FILE_MAX as usize]).unwrap();
        assert!(matches!(compile(spec.clone()), Ok(Fallback::Answer { body, .. }) if body.len() == 1 << 20));
        std::fs::write(&path, vec![b'x'; FILE_MAX as usize + 1]).unwrap();
        assert!(compile(spec.clone()).unwrap_err().contains("larger than 1 MiB"));
        std::fs::remove_file(&path).unwrap();
        assert!(compile(spec).unwrap_err().contains("cannot be read"));
    }
}
