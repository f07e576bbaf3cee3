//! The limit of open files: raised as far as it may be, and how many client connections it allows. Each of these takes a
//! file, and so does the connection to the service that its request is sent on.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For everything else: listeners, admin, probes, logs, the cache's files.
const OTHERS: u64 = 64;

/// Raises the limit; client connections that may be open under it.
pub(crate) fn raise() -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    connections(if raised.is_ok() { maximum } else { current })
}

fn connections(files: Option<u64>) -> u32 {
    let half = files.map_or(u64::MAX, |files| (files.saturating_sub(OTHERS) / 2).max(1));
    u32::try_from(half).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_for_clients() {
        assert_eq!(connections(Some(1_024)), 480);
        assert_eq!(connections(Some(10)), 1);
        assert_eq!(connections(None), u32::MAX);
    }
}
